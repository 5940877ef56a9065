"""Summary: from predictions of a run and of its floors to one Evaluation.

Decides: every scorer is bootstrapped with one seed, so that all differences are paired; slices by time and by known
events get the run's metrics, an interval of its AUC from fewer draws, and the AUC of every other scorer.

Source: issue "First light", `evaluate` and `report.html`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from recollect.evaluation.bootstrap import DRAWS, METRICS, draw
from recollect.evaluation.compare import Judged, judge, pair
from recollect.evaluation.metrics import auc, measure
from recollect.evaluation.predictions import Predictions, Slice, by_known, by_time
from recollect.evaluation.result import WITHOUT_EVENTS, Entry, Evaluation, Gap, SliceEntry

SLICE_DRAWS = 200


class Timed(NamedTuple):
    """Predictions, and the seconds that their scorer took."""

    predictions: Predictions
    seconds: float


class Occasion(NamedTuple):
    """What was judged: the run's name, the protocol that cut the log, and the part (valid or test)."""

    run: str
    protocol: str
    part: str


def summarise(
    occasion: Occasion,
    run: Timed,
    *,
    floors: Mapping[str, Timed],
    without_events: Timed | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Evaluation:
    """Measure a run beside its floors.

    Parameters
    ----------
    occasion
        What was judged.
    run
        Predictions of the run.
    floors
        Predictions of each floor on the same rows, by name.
    without_events
        Predictions of the same run when it sees no event of the user.
    seed, draws
        Of the user bootstrap.

    Returns
    -------
    Evaluation
        Metrics, intervals, slices, and paired differences of the run to each other scorer.

    Raises
    ------
    DataError
        When the rows of the scorers differ, there is none, or a probability is not one.
    """
    others = {**floors, **({} if without_events is None else {WITHOUT_EVENTS: without_events})}
    judged = judge(run.predictions, seed=seed, draws=draws)
    judged_others = {name: judge(other.predictions, seed=seed, draws=draws) for name, other in others.items()}
    comparisons = {name: pair(judged, other) for name, other in judged_others.items()}
    entries = {name: _entry(other, others[name].seconds) for name, other in judged_others.items()}
    slices = {"time": by_time(run.predictions), "known events": by_known(run.predictions)}
    return Evaluation.model_validate(
        {
            **occasion._asdict(),
            **_entry(judged, run.seconds).model_dump(),
            "floors": {name: entries[name] for name in floors},
            "without_events": entries.get(WITHOUT_EVENTS),
            "slices": {
                kind: [_slice_entry(part, run.predictions, others, seed=seed) for part in parts]
                for kind, parts in slices.items()
            },
            "paired": {
                name: {metric: Gap.of(comparison.differences[metric]) for metric in METRICS}
                for name, comparison in comparisons.items()
            },
        }
    )


def _entry(judged: Judged, seconds: float) -> Entry:
    return Entry.of(judged.metrics, judged.draws.intervals(), seconds=seconds)


def _slice_entry(part: Slice, predictions: Predictions, others: Mapping[str, Timed], *, seed: int) -> SliceEntry:
    inside = predictions.take(part.positions)
    metrics = measure(inside)
    return SliceEntry(
        name=part.name,
        rows=metrics.rows,
        auc=metrics.auc,
        uauc=metrics.uauc,
        uauc_users=metrics.uauc_users,
        log_loss=metrics.log_loss,
        ece=metrics.ece,
        auc_interval=draw(inside, seed=seed, draws=SLICE_DRAWS).interval("auc"),
        others={
            name: auc(inside.label, other.predictions.probability[part.positions]) for name, other in others.items()
        },
    )
