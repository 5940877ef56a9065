"""Arms: the models that answer, one or two side by side, and who is answered by which.

It decides that an arm is chosen by a hash of the user's id, so that a person stays with one model while both answer,
and that a switch is the exchange of one value: questions already asked are answered by the arm that they were asked
of, so none is dropped; an arm that nobody holds any more is gone. An arm knows everything stored before it answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recollect.errors import UsageError
from recollect.rank.recommender import Recommender
from recollect.run.tuned import digest_of
from recollect.service.light import LightRanker

_SCALE = 1 << 64


@dataclass(frozen=True, eq=False, slots=True)
class Arm:
    """Hold a model that answers.

    Parameters
    ----------
    name : str
        Of its run, told apart from those of other arms.
    run : Path
        The run folder.
    digest : str
        SHA-256 of its weights, as the run has them.
    backbone : str
        SHA-256 of its backbone's weights when it was loaded; the item tables may grow with the catalog.
    recommender : Recommender
        Answers with the model.
    light : LightRanker
        Answers without it.
    """

    name: str
    run: Path
    digest: str
    backbone: str
    recommender: Recommender
    light: LightRanker

    def is_untouched(self) -> bool:
        """Hash the backbone's weights now, about a gigabyte a second, and tell whether they are as loaded."""
        return digest_of(self.recommender.model.causal) == self.backbone


@dataclass(frozen=True, eq=False, slots=True)
class Arms:
    """Hold the arms of a moment.

    Parameters
    ----------
    first : Arm
        Answers all users, or those that the second one does not.
    second : Arm, optional
        Answers a share of the users.
    share : float
        That share, 0 to 1.

    Raises
    ------
    UsageError
        If the share is out of range.
    """

    first: Arm
    second: Arm | None = None
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UsageError("a share out of range", got=self.share, expected="0 to 1", do="give 0.1 for a tenth")

    def __iter__(self) -> Iterator[Arm]:
        return iter((self.first,) if self.second is None else (self.first, self.second))

    def of(self, user: str) -> Arm:
        """Return the arm of a user, always the same while the arms and the share are."""
        return self.second if self.second is not None and place(user) < self.share else self.first

    def share_of(self, arm: Arm) -> float:
        """Return the share of users that an arm answers."""
        return self.share if arm is self.second else 1.0 - self.share * (self.second is not None)

    def switched(self, arm: Arm, *, share: float | None) -> Arms:
        """Return the arms after one is activated: for everybody, or for a share beside the first one.

        Raises
        ------
        UsageError
            If the share is out of range.
        """
        if share is None:
            return Arms(arm)
        first = self.second if arm is self.first and self.second is not None else self.first
        return Arms(self.first) if first is arm else Arms(first, arm, share)


def place(user: str) -> float:
    """Return where a user stands between 0 and 1, by a hash of the id.

    Examples
    --------
    >>> place("42") == place("42"), 0 <= place("43") < 1
    (True, True)
    """
    return int.from_bytes(hashlib.sha256(user.encode()).digest()[:8]) / _SCALE
