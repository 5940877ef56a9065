"""How much a recommender does for a question, and how much it keeps in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recollect.context.evidence import HistoryView
from recollect.context.live import Loader
from recollect.rank.trunks import TRUNK_BYTES

LIMIT: Final = 5_000
"""Most candidates that are chosen from a larger catalog."""

_EVERYTHING: Final = 50_000  # items of which all are scored where one costs a token or two
_SHORT: Final = 2
_BRANCH_TOKENS: Final = 20_000  # of all candidates together, where one costs more
_FEWEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Set how much a recommender does and keeps.

    Parameters
    ----------
    candidates : int, optional
        Most items that are scored where the question names none; by default as many as the layout affords.
    trunk_bytes : int
        Budget of the encoded trunks.
    history_bytes : int, optional
        Budget of the timelines of users with added events, where these can be loaded again.
    load : callable, optional
        Finds the added events of a user again.
    """

    candidates: int | None = None
    trunk_bytes: int = TRUNK_BYTES
    history_bytes: int | None = None
    load: Loader | None = None

    def most_candidates(self, tokens: int, history: HistoryView) -> int:
        """Return how many candidates a question may score: soft tokens are cheap, titles and retrieved events are not.

        Parameters
        ----------
        tokens : int
            Length of a candidate's branch.
        history : HistoryView
            Which events are shown, with each candidate if they are retrieved.
        """
        room = tokens + history.shown * tokens * (history.choice != "recent")
        affordable = _EVERYTHING if room <= _SHORT else max(_FEWEST, _BRANCH_TOKENS // room)
        return affordable if self.candidates is None else min(affordable, self.candidates)


UNBOUNDED: Final = Capacity()
"""Keeps every timeline, and trunks within the usual budget."""
