"""The suite: all ways in one run, the targets, and the facts of the machine as one value.

It decides the two sizes (full, quick) and what is promised: the targets of the project's first issue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.serving import Reader, serving_ways
from benchmarks.tuning import tuning_ways
from benchmarks.world import Sizes, make_dataset, make_model
from recollect.bench.machine import machine_facts
from recollect.bench.timing import Timing, time_interleaved

FULL: Final = Sizes(
    items=10_000, users=1_000, events=60_000, known=200, later=56, candidates=100, rounds=40,
    batches=(16_384, 4_096), judged=True,
)  # fmt: skip
QUICK: Final = Sizes(
    items=300, users=40, events=1_500, known=20, later=4, candidates=10, rounds=2, batches=(512,), judged=False
)

CPU: Final = torch.device("cpu")

_AGREEMENT: Final = 1e-5
_WARM: Final = "recommender, warm trunk"
_EVENT: Final = "recommender, event and list"
_PLAIN: Final = "stock, a prompt per candidate"


@dataclass(frozen=True, slots=True)
class Target:
    """Hold one promise: what was measured, in which unit, against what was promised, and whether it holds."""

    name: str
    measured: float
    promised: str
    met: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what a run of the suite found.

    Parameters
    ----------
    date : str
        When, in UTC.
    machine : dict
        Facts of the machine, before and after.
    timings : tuple of Timing
        All ways, group by group.
    targets : tuple of Target
        Promises; none where the size is not the one that they are made for.
    disagreement : dict
        Way to largest difference of log-odds from the recommender's.
    """

    date: str
    machine: dict[str, Any]
    timings: tuple[Timing, ...]
    targets: tuple[Target, ...]
    disagreement: dict[str, float]


def measure(sizes: Sizes) -> Report:
    """Build the world, check that all ways agree, and time them in turn."""
    machine = machine_facts(CPU)
    dataset = make_dataset(sizes)
    tuned = make_model(dataset, sizes)
    ways, reader = serving_ways(tuned, dataset, sizes)
    disagreement = compare_answers(reader, sizes)
    ways += tuning_ways(tuned, dataset, sizes.batches)
    timings = tuple(time_interleaved(ways, rounds=sizes.rounds))
    targets = _judge(timings, disagreement) if sizes.judged else ()
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    machine["load_after"] = machine_facts(CPU)["load"]
    return Report(date, machine, timings, targets, disagreement)


def compare_answers(reader: Reader, sizes: Sizes) -> dict[str, float]:
    """Measure how far the other ways' log-odds are from those of a warm trunk."""
    ours = reader.score().diff(dim=1)
    others = {
        "cold trunk": reader.score_cold(),
        "one packed sequence": reader.score_packed(),
        "stock, cached trunk": reader.plain.score_cached(),
        "stock, a prompt per candidate": reader.plain.score(batch=sizes.candidates),
    }
    return {name: float((logits.diff(dim=1) - ours).abs().max()) for name, logits in others.items()}


def _judge(timings: Sequence[Timing], disagreement: dict[str, float]) -> tuple[Target, ...]:
    warm = next(one.median for one in timings if one.way.name == _WARM)
    event = next(one.median for one in timings if one.way.name == _EVENT)
    plain = min(one.median for one in timings if one.way.name.startswith(_PLAIN))
    worst = max(disagreement.values())
    return (
        Target("100 candidates after 200 known events, warm trunk, ms", warm, "below 50", warm < 50),
        Target("an event to the new top 10 of 10,000 items, ms", event, "below 150", event < 150),
        Target("the plain way's best beside ours, times", plain / warm, "at least 20", plain / warm >= 20),
        Target("largest difference of log-odds between the ways", worst, f"at most {_AGREEMENT}", worst <= _AGREEMENT),
    )
