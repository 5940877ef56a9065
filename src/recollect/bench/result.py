"""What a benchmark found: values that become a table and a JSON document, and can be read back.

It decides that a *row* is one promise: a job, whom it is compared with, what is asked, what was measured and what the
arithmetic allows; and that beside the rows stand all *times* from which they follow. What was not measured is null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Asked", "Findings", "Part", "Row", "WayTime"]

Verdict = Literal["met", "missed", "not measured", ""]


class Asked(BaseModel):
    """Which backbone (all of a part's own if None), on which device, at which size."""

    model_config = ConfigDict(frozen=True)

    backbone: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    quick: bool = False


class WayTime(BaseModel):
    """How long one way took, and what share of the machine it used.

    `share` below 1 means that a part of the job was timed and scaled. `gflops` and `peak_share` count the operations
    that the mathematics needs, against one large matrix product of the same type among the same rounds.
    """

    model_config = ConfigDict(frozen=True)

    group: str
    way: str
    precision: str
    median_ms: float
    low_ms: float
    high_ms: float
    cores_ms: float
    runs: int
    share: float = 1.0
    note: str = ""
    flops: float | None = None
    bytes: float | None = None
    gflops: float | None = None
    peak_share: float | None = None


class Row(BaseModel):
    """One promise beside its measurement.

    `ratio` is how many times faster ours is than `against`, with `low` and `high` from the quartiles of both; `allowed`
    is the same ratio of operations. `target` is meant for the ratio, or for the share of the matrix-product peak.
    """

    model_config = ConfigDict(frozen=True)

    part: str
    work: str
    backbone: str
    against: str
    precision: str
    target: float | None = None
    aim: Literal["ratio", "peak share"] = "ratio"
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    allowed: float | None = None
    ours: str = ""
    rate: float | None = None
    rate_unit: str = ""
    peak_share: float | None = None
    note: str = ""

    @property
    def measured(self) -> float | None:
        """What is held against the target."""
        return self.ratio if self.aim == "ratio" else self.peak_share

    @property
    def verdict(self) -> Verdict:
        """Whether the promise holds; empty if none was made."""
        if self.measured is None:
            return "not measured"
        if self.target is None:
            return ""
        return "met" if self.measured >= self.target else "missed"


class Part(BaseModel):
    """What one part of the benchmark found; `facts` are numbers that are no times, such as bytes per user."""

    model_config = ConfigDict(frozen=True)

    part: str
    asked: Asked
    date: str
    machine: dict[str, Any]
    rows: list[Row]
    times: list[WayTime]
    facts: dict[str, float | str] = {}


@dataclass(slots=True)
class Findings:
    """Collect what a part has found so far."""

    rows: list[Row] = field(default_factory=list[Row])
    times: list[WayTime] = field(default_factory=list[WayTime])
    facts: dict[str, float | str] = field(default_factory=dict[str, float | str])

    def add(self, other: Findings) -> None:
        """Take over what was found elsewhere."""
        self.rows += other.rows
        self.times += other.times
        self.facts |= other.facts
