"""Settings of the engine; `recollect.service.settings` reads them from file and environment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_MIB = 1 << 20


class EngineSettings(BaseModel):
    """Set how much is kept in memory and how long a question may wait.

    Parameters
    ----------
    deadline_ms : float
        Within which a question without a deadline of its own is answered, by the light ranker if need be.
    queue : int
        Most questions that wait for the model; more are answered by the light ranker at once.
    candidates : int
        Most items that the model scores for a list, where the question names none and asks for no more.
    light : int
        Most questions that the light ranker answers at the same time; more are refused (`Overloaded`).
    trunk_bytes : int
        Budget of the encoded trunks, of all arms together.
    history_bytes : int
        Budget of the timelines of users whose events came since the import, of all arms together.
    way : str, optional
        How the model is run (`recollect.model.ways`); by default the fastest exact one, measured at the start.
    threads : int
        Threads of the model; 0 leaves it to torch.
    recent_requests : int
        How many answers are held to see which shown items are liked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline_ms: float = Field(default=1000, gt=0)
    queue: int = Field(default=64, ge=1)
    candidates: int = Field(default=200, ge=1)
    light: int = Field(default=2, ge=1)
    trunk_bytes: int = Field(default=256 * _MIB, ge=0)
    history_bytes: int = Field(default=32 * _MIB, ge=0)
    way: str | None = None
    threads: int = Field(default=0, ge=0)
    recent_requests: int = Field(default=10_000, ge=0)
