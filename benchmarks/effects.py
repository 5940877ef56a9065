"""`python -m benchmarks.effects`: effects of all demonstrations by one backward pass, against exact leave-one-out.

What is compared, in one run and one round after the other: effects of 64 demonstrations on a person's support queries;
the same losses with each demonstration left out, (a) with the same bank in packed passes, (b) as ordinary prompts one
by one. It decides that (a) and (b) do a part of their job per round, whose time is scaled, and that the figure is the
median of the rounds' ratios: another job on the machine hits both sides of a ratio. The model has the shape of Qwen3
and random weights; time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Int32

from recollect.bench.machine import machine_facts
from recollect.bench.timing import Way, time_once
from recollect.cli.output import say, show, show_table
from recollect.model.demonstrations import Banks, effects, predictions
from recollect.model.language_model import LanguageModel
from recollect.model.nano import build_nano
from recollect.model.settings import NanoShape
from recollect.prompt.branches import Branches

_PROMISED: Final = 20.0
_VOCABULARY: Final = 2048


@dataclass(frozen=True, slots=True)
class Job:
    """Set the sizes of the job.

    Parameters
    ----------
    demonstrations, queries : int
        How many.
    query : int
        Tokens of a query; a demonstration has a quarter more on average, the start half of it.
    sets : int
        Demonstrations left out per round, of all.
    rounds : int
        Counted ones.
    shape : NanoShape
        Of the model.
    """

    demonstrations: int
    queries: int
    query: int
    sets: int
    rounds: int
    shape: NanoShape


FULL: Final = Job(
    demonstrations=64, queries=12, query=40, sets=16, rounds=9,
    shape=NanoShape(width=256, layers=8, heads=8, key_value_heads=4, feed_forward=768, vocabulary=_VOCABULARY),
)  # fmt: skip
QUICK: Final = Job(
    demonstrations=6, queries=2, query=8, sets=2, rounds=2,
    shape=NanoShape(width=32, layers=2, heads=4, key_value_heads=2, feed_forward=32, vocabulary=_VOCABULARY),
)  # fmt: skip


def make_ways(job: Job, *, seed: int = 0) -> tuple[Way, Way, Way]:
    """Make model, demonstrations and queries; return the effects and the two ways of leaving one out."""
    random = np.random.default_rng(seed)

    def draw(length: int) -> Int32[np.ndarray, " T"]:
        return random.integers(4, _VOCABULARY, length, dtype=np.int32)

    model = LanguageModel(build_nano(job.shape, vocabulary=_VOCABULARY, seed=seed), answers=[5, 6]).eval()
    lengths = random.integers(job.query, 3 * job.query // 2 + 1, job.demonstrations)
    start, blocks = draw(job.query // 2), [draw(length) for length in lengths.tolist()]
    bank = Banks(model, revision="random").bank(start, blocks)
    texts = np.stack([draw(job.query) for _ in range(job.queries)])
    queries = Branches.of(texts, start=bank.next_position)
    labels, gates = random.integers(0, 2, job.queries), np.ones((job.queries, job.demonstrations))
    left_out = np.repeat(gates[None], job.sets, axis=0)
    left_out[np.arange(job.sets), :, np.arange(job.sets)] = 0
    prompt = torch.from_numpy(np.concatenate([start, *blocks[1:], texts[0]]).astype(np.int64))[None]

    def ask() -> torch.Tensor:
        with torch.inference_mode():
            return model.causal(input_ids=prompt, use_cache=False, logits_to_keep=1).logits

    group = f"{job.demonstrations} demonstrations, {job.queries} queries"
    prompts = job.demonstrations * job.queries
    return (
        Way(group, "effects, one backward pass", lambda: effects(model, bank, queries, labels, gates=gates)),
        Way(
            group,
            "leave-one-out, packed",
            lambda: predictions(model, bank, queries, left_out),
            share=job.sets / job.demonstrations,
        ),
        Way(group, "leave-one-out, ordinary prompts", ask, share=1 / prompts),
    )


def measure(ways: Sequence[Way], *, rounds: int) -> list[tuple[float, ...]]:
    """Run all ways in turn; return, per counted round, the processor seconds of each for its whole job."""
    return [tuple(time_once(way)[1] / way.share for way in ways) for _ in range(rounds + 1)][1:]


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.effects", description="What demonstration effects cost."
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where JSON goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    job = QUICK if options.quick else FULL
    machine, ways = machine_facts(torch.device("cpu")), make_ways(job)
    seconds = measure(ways, rounds=job.rounds)
    rows = [
        {
            "way": way.name,
            "median_seconds": statistics.median(one[number] for one in seconds),
            "times_the_effects": statistics.median(one[number] / one[0] for one in seconds),
        }
        for number, way in enumerate(ways)
    ]
    shown = [(row["way"], f"{row['median_seconds']:.3g}", f"{row['times_the_effects']:.3g}") for row in rows]
    show_table(shown, header=("way", "median s", "times the effects"), title=ways[0].group)
    show(f"promised: {_PROMISED:.0f} times for packed leave-one-out, on one core")
    if options.json:
        report = {"machine": machine, "job": asdict(job) | {"shape": job.shape.model_dump()}, "ways": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        say(f"written to {options.json}")


if __name__ == "__main__":
    main()
