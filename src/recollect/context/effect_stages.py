"""The two stages: a set chosen in full now and then, kept good event by event, and given up where it loses.

What it is: `Optimiser`, which answers which demonstrations a person is shown at any moment. It decides:

- **stage 1** searches from nothing at every multiple of `anew` known events (below that, at powers of two), and
  whenever the loss of the kept set exceeds that of its choice by two standard errors (and 0.05 nats);
- **stage 2** follows every event between: demonstrations that left the pool leave the set, then come at most `moves`
  moves, each of which lowers the exact loss of the support;
- **guards**: the stages have to prove themselves. Their set is shown once they have met at least three events since
  the last planned selection, each before it could change the set, and answered them at least as well as the most recent
  events of that moment would have, both in the prompt that is served where one is handed in; until then the most recent
  events are shown, and nothing, if both do worse than nothing on the support. (To show nothing whenever the one shown
  does worse was tried, and lost on planted persons: the support is small.)

The answer is a function of the known events and the settings alone: replay, serving and rebuilding agree whatever was
asked before. Steps are remembered by the content of the past that they saw, so a growing past costs one step per event.
Too few events, or a model that cannot measure, end in the most recent events with a note. Source: spec `lrgd`, section
5, where it departs in the powers of two, for people of whom little is known.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from recollect.context.effect_selection import Chosen, SetTrial, WeighedSet, improve, latest, select
from recollect.context.effects import DemonstrationMeasure, EffectSettings, Pool, Served, losses, make_pool
from recollect.context.evidence import Timeline
from recollect.errors import ModelError, UsageError

Gather = Callable[[Timeline, int, EffectSettings], Pool]

_SHORTLIST: Final = 4  # candidates that a move after an event checks exactly
_ALARM: Final = 2.0  # standard errors above the loss of the choice
_LEAST_ALARM: Final = 0.05  # nats: where all answers are nearly certain the error says little
_PROOF: Final = 3  # events that a set meets before it is shown
_KEPT: Final = 4096  # moments remembered


@dataclass(frozen=True, eq=False, slots=True)
class _Step:
    """Hold the set kept at one moment, and what is shown.

    Parameters
    ----------
    places : tuple of int
        The kept set, as places in the timeline.
    alarm : float
        Support loss above which it is chosen anew.
    chosen : Chosen
        What is shown.
    leads : tuple of float
        By how many nats the set answered each event since the planned selection better than the most recent events did,
        oldest first.
    """

    places: tuple[int, ...]
    alarm: float
    chosen: Chosen
    leads: tuple[float, ...] = ()


class Optimiser:
    """Choose the demonstrations of a person by their measured effect, in two stages.

    Parameters
    ----------
    measure : DemonstrationMeasure
        Asks the model.
    settings : EffectSettings
        What is measured, and how sets change.
    count : int
        Most demonstrations of a set.
    gather : callable, optional
        ``gather(line, known, settings)`` makes the pool of a moment.
    served : callable, optional
        Asks with sets in the prompt that is served; where there is none, sets prove themselves as they are measured.
    """

    def __init__(
        self,
        measure: DemonstrationMeasure,
        settings: EffectSettings,
        count: int,
        *,
        gather: Gather = make_pool,
        served: Served | None = None,
    ) -> None:
        self.measure = measure
        self.settings = settings.model_copy(update={"pool": max(settings.pool, count)})
        self.count = count
        self.gather = gather
        self.served = served
        self._steps: OrderedDict[bytes, _Step] = OrderedDict()
        self._lock = Lock()  # several questions may be asked at once

    def chosen(self, line: Timeline, known: int) -> Chosen:
        """Return the demonstrations of a person of whom the first `known` events are known.

        Parameters
        ----------
        line : Timeline
            The person's events.
        known : int
            How many of them, the first ones, are known.
        """
        return self._step(line, known).chosen

    def _step(self, line: Timeline, known: int) -> _Step:
        """Find the last remembered moment since the last full selection, and walk from there."""
        moment, start = known, self._anchor(known)
        while moment > start and _key(line, moment) not in self._steps:
            moment -= 1
        step = self._steps.get(_key(line, moment)) or self._take(line, moment, None)
        self._remember(_key(line, moment), step)
        for later in range(moment + 1, known + 1):
            step = self._take(line, later, step)
            self._remember(_key(line, later), step)
        return step

    def _remember(self, key: bytes, step: _Step) -> None:
        with self._lock:
            self._steps[key] = step
            self._steps.move_to_end(key)
            if len(self._steps) > _KEPT:
                self._steps.popitem(last=False)

    def _anchor(self, known: int) -> int:
        """Return the last moment of a planned full selection."""
        anew = self.settings.anew
        return known // anew * anew if known >= anew else 1 << known.bit_length() >> 1

    def _take(self, line: Timeline, known: int, before: _Step | None) -> _Step:
        """Take one step, or show the most recent where nothing can be measured."""
        try:
            trial = SetTrial(self.measure, self.gather(line, known, self.settings), self.settings, self.count)
            return self._measured(trial, before)
        except (UsageError, ModelError) as error:
            places = np.arange(max(known - self.count, 0), known)
            chosen = Chosen(places, np.zeros(len(places)), None, None, "recent", f"the most recent: {error.what}")
            return _Step((), -np.inf, chosen)

    def _measured(self, trial: SetTrial, before: _Step | None) -> _Step:
        """Choose in full or follow, then guard."""
        if not latest(trial):
            return _Step((), -np.inf, _nothing("no demonstrations: the budget holds none"))
        recent = recent_losses(trial)
        kept, alarm, leads = None, -np.inf, ()
        if before is not None:
            carried = _carried(trial, before.places)
            leads = (*before.leads, *self._lead(trial, carried, recent))
            kept, alarm = self._follow(trial, carried), before.alarm
        if kept is None or kept.loss > alarm:
            kept = select(trial)
            alarm = kept.loss + max(_ALARM * _error(trial.pool, kept.losses), _LEAST_ALARM)
        places = trial.pool.demonstrations[list(kept.columns)].tolist()
        return _Step(tuple(places), alarm, _guarded(trial, kept, recent, leads), leads)

    def _lead(self, trial: SetTrial, carried: WeighedSet, recent: Float64[np.ndarray, " Q"]) -> tuple[float, ...]:
        """Return by how many nats a set answered the newest event better than the most recent ones, if it is asked."""
        pool = trial.pool
        if pool.support[-1] != pool.known - 1:
            return ()
        if self.served is None:
            return (float((recent - carried.losses)[-1]),)
        newest = replace(
            pool, support=pool.support[-1:], visible=pool.visible[-1:], weights=np.ones(1), labels=pool.labels[-1:]
        )
        sets = np.stack([_seen_recently(trial)[-1], np.isin(np.arange(len(pool)), carried.columns)])
        others, own = losses(newest, self.served(newest, sets))[:, 0].tolist()
        return (others - own,)

    def _follow(self, trial: SetTrial, carried: WeighedSet) -> WeighedSet:
        """Improve a set that was carried over to a later moment: stage 2."""
        current = carried
        for _ in range(self.settings.moves):
            moved = improve(trial, current, shortlist=_SHORTLIST)
            if moved is current:
                break
            current = moved
        return current


def _carried(trial: SetTrial, places: tuple[int, ...]) -> WeighedSet:
    """Weigh what a later moment still holds of a set."""
    stays = np.isin(trial.pool.demonstrations, places) & trial.candidates
    return trial.weigh([tuple(np.flatnonzero(stays).tolist())])[0]


def _guarded(trial: SetTrial, kept: WeighedSet, recent: Float64[np.ndarray, " Q"], leads: tuple[float, ...]) -> Chosen:
    """Show a set that has proved itself, or the most recent events, or nothing."""
    pool = trial.pool
    own, others, without = kept.loss, float(recent @ pool.weights), trial.weigh([()])[0].loss
    figures = f"loss {own:.3f}, of the most recent {others:.3f}, of none {without:.3f} nats"
    if trial.copies:
        figures += f"; {trial.copies} earlier events with the same item left out"
    if min(own, others) > without or (not kept.columns and others > without):
        return replace(_nothing(f"no demonstrations: {figures}"), loss=without, loss_without=without)
    proved, lead = len(leads) >= _PROOF, _faded(leads, trial.settings.half_life)
    optimised = bool(kept.columns) and proved and lead >= 0
    columns = list(kept.columns if optimised else latest(trial))
    effects = trial.look(kept.columns).effects[columns]
    kind, name = ("optimised", "optimised") if optimised else ("recent", "the most recent")
    met = (
        f"set {lead:+.3f} nats ahead on {len(leads)} events"
        if proved
        else f"set tried on {len(leads)} of {_PROOF} events"
    )
    return Chosen(
        pool.demonstrations[columns], effects, own if optimised else others, without, kind, f"{name}: {met}; {figures}"
    )


def _faded(leads: tuple[float, ...], half_life: float) -> float:
    """Return the mean of leads whose weights halve every `half_life` events; 0 without any."""
    weights = 0.5 ** (np.arange(len(leads))[::-1] / half_life)
    return float(np.average(leads, weights=weights)) if leads else 0.0


def recent_losses(trial: SetTrial) -> Float64[np.ndarray, " Q"]:
    """Return the loss of each support query in nats with what was most recent when it was asked."""
    recent = replace(trial.pool, visible=_seen_recently(trial))
    return losses(recent, trial.measure.predictions(recent, np.ones((1, len(recent)))))[0]


def _seen_recently(trial: SetTrial) -> Bool[np.ndarray, "Q N"]:
    """Tell which candidates were the most recent ones when each query was asked, within the budget."""
    pool = trial.pool
    earlier = pool.visible & (pool.demonstrations < pool.line.visible[pool.support, None])
    behind = earlier[:, ::-1]
    cost = np.cumsum(behind * trial.tokens[::-1], axis=1)
    kept = behind & (np.cumsum(behind, axis=1) <= trial.count) & (cost <= (trial.settings.tokens or np.inf))
    return kept[:, ::-1]


def _nothing(note: str) -> Chosen:
    return Chosen(np.zeros(0, np.int64), np.zeros(0), None, None, "none", note)


def _error(pool: Pool, each: Float64[np.ndarray, " Q"]) -> float:
    """Return the standard error of a weighted mean."""
    return float(np.sqrt(pool.weights**2 @ (each - each @ pool.weights) ** 2))


def _key(line: Timeline, known: int) -> bytes:
    """Digest what is known of a person at a moment."""
    digest = hashlib.blake2b(f"{line.user} {known}".encode(), digest_size=16)
    for part in (line.items, line.labels, line.values, line.times, line.visible):
        digest.update(part[:known].tobytes())
    return digest.digest()
