"""Watching the online stage: how the chosen demonstrations of a person moved, event by event, and what that brought.

What it is: a replay of a person's last events. Before each of them the set is chosen from what was known
(`recollect.context.effect_stages.Optimiser`), then the event's own answer is asked with that set, with the most recent
demonstrations and with none. It decides that these losses are of answers that no choice had seen; the loss on the
support, by which the set was chosen, stands beside them. Source: spec `lrgd`, sections 5 and 10.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from recollect.context.effect_stages import Optimiser
from recollect.context.effects import Pool, Served, losses
from recollect.context.evidence import Timeline
from recollect.data.catalog import Catalog
from recollect.errors import UsageError

LOSSES: Final = ("chosen", "recent", "none")
"""The losses of a watched event."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Name an event that is shown: its place in the timeline, id and title of its item, and its answer."""

    event: int
    item: str
    title: str
    liked: bool


@dataclass(frozen=True, slots=True)
class WatchedEvent:
    """Say what was shown before an event, and what it brought; losses in nats.

    Parameters
    ----------
    asked : Shown
        The event.
    time, known : int
        Its moment in unix seconds, and how many events were known then.
    kind, note : str
        What the set is, and how it was chosen.
    shown, entered, left : tuple of Shown
        The set in the order shown, and what came and went since the event watched before.
    support, support_without : float or None
        Loss on the support with the set and without demonstrations, where it was measured.
    chosen, recent, none : float
        Loss of the event's own answer, asked with the set, with as many recent demonstrations as may be shown, and
        with none.
    """

    asked: Shown
    time: int
    known: int
    kind: str
    note: str
    shown: tuple[Shown, ...]
    entered: tuple[Shown, ...]
    left: tuple[Shown, ...]
    support: float | None
    support_without: float | None
    chosen: float
    recent: float
    none: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Hold the watched events, oldest first."""

    events: tuple[WatchedEvent, ...]

    def losses(self) -> dict[str, float]:
        """Return the mean loss with the chosen sets, with recent demonstrations and with none, in nats."""
        return {name: float(np.mean([getattr(event, name) for event in self.events])) for name in LOSSES}

    def gain(self, other: str) -> tuple[float, float | None]:
        """Return how many nats `other`, recent or none, loses more than the chosen sets, and the standard error.

        The error is that of independent events, which a person's are not quite; it takes two of them.
        """
        differences = np.array([getattr(event, other) - event.chosen for event in self.events])
        error = float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else None
        return float(differences.mean()), error

    def to_json(self) -> dict[str, Any]:
        """Give the JSON document."""
        gains = {name: dict(zip(("gain", "error"), self.gain(name), strict=True)) for name in LOSSES[1:]}
        return {
            "losses": self.losses(),
            "over": gains,
            "moves": self.moves,
            "events": [asdict(event) for event in self.events],
        }

    @property
    def moves(self) -> int:
        """How many demonstrations came in after the first event watched."""
        return sum(len(event.entered) for event in self.events[1:])


@dataclass(frozen=True, eq=False, slots=True)
class Watcher:
    """Replay what the online stage does for a person.

    Parameters
    ----------
    served : callable
        Asks the model about each event's own answer, in the prompt that is served.
    optimiser : Optimiser
        Chooses the sets.
    catalog : Catalog
        Ids and titles.
    count : int
        How many recent demonstrations the sets are compared with.
    """

    served: Served
    optimiser: Optimiser
    catalog: Catalog
    count: int

    def watch(self, line: Timeline, *, events: int) -> Watch:
        """Watch the last events of a person.

        Parameters
        ----------
        line : Timeline
            The person's events.
        events : int
            How many at most, 1 or more; events before which nothing was known are left out.

        Raises
        ------
        UsageError
            If there is no event to watch.
        ModelError
            If the model cannot measure demonstrations.
        """
        asked = np.flatnonzero(line.visible > 0)[-events:].tolist()
        if not asked:
            raise UsageError(
                "no event to watch",
                got=f"{len(line)} events",
                expected="an event that was asked when another was known",
                do="choose a person with more events",
            )
        watched: list[WatchedEvent] = []
        for event in asked:
            watched.append(self._watched(line, event, before=watched[-1].shown if watched else ()))
        return Watch(tuple(watched))

    def _watched(self, line: Timeline, event: int, *, before: tuple[Shown, ...]) -> WatchedEvent:
        known = int(line.visible[event])
        chosen = self.optimiser.chosen(line, known)
        shown = tuple(self._named(line, place) for place in chosen.places.tolist())
        lost = self._losses(line, event, chosen.places, np.arange(max(known - self.count, 0), known))
        return WatchedEvent(
            asked=self._named(line, event),
            time=int(line.times[event]),
            known=known,
            kind=chosen.kind,
            note=chosen.note,
            shown=shown,
            entered=tuple(one for one in shown if one not in before),
            left=tuple(one for one in before if one not in shown),
            support=_finite(chosen.loss),
            support_without=_finite(chosen.loss_without),
            **dict(zip(LOSSES, lost.tolist(), strict=True)),
        )

    def _losses(
        self, line: Timeline, event: int, chosen: Int64[np.ndarray, " K"], recent: Int64[np.ndarray, " R"]
    ) -> Float64[np.ndarray, " 3"]:
        """Ask for the answer of an event with the chosen set, with the recent one and with none."""
        places = np.union1d(chosen, recent)
        label = line.labels[event : event + 1].astype(np.int64)
        seen = np.ones((1, len(places)), np.bool_)
        pool = Pool(line, int(line.visible[event]), places, np.array([event]), seen, np.ones(1), label)
        sets = np.stack([np.isin(places, chosen), np.isin(places, recent), np.zeros(len(places), np.bool_)])
        return losses(pool, self.served(pool, sets))[:, 0]

    def _named(self, line: Timeline, place: int) -> Shown:
        item = int(line.items[place])
        return Shown(place, self.catalog.ids[item], self.catalog.titles[item], bool(line.labels[place]))


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and np.isfinite(loss) else None
