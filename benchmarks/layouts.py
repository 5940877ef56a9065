"""Do effects measured on blocks side by side agree with leave-one-out in the ordinary prompt?

    python -m benchmarks.layouts RUN DATA --people 60 --json layouts.json

For each person: the latest events but some are demonstrations, the last ones are asked, each answer unknown to all
demonstrations. Effects come from one pass over blocks; exact leave-one-out once from the same blocks and once from
prompts in which the demonstrations stand one after the other. Printed: Spearman's rank correlation within each person,
mean over people with its standard error, and how often the sign of the whole set's effect agrees.
"""

import argparse
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.stats as stats
from jaxtyping import Float64

from recollect.context.effects import Pool, losses
from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.run.effects import BlockMeasure
from recollect.run.effects_served import ServedMeasure
from recollect.run.prompting import make_measure
from recollect.run.tuned import TunedModel

SHOWN, ASKED = 8, 8


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    dataset = Dataset.load(asked.data)
    tuned = TunedModel.load(asked.run).fitted_to(dataset.catalog)
    context = Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    measure = make_measure(tuned, dataset)
    found = [_one(measure, pool) for pool in _pools(dataset, context, people=asked.people, seed=asked.seed)]
    result = _summary(found)
    print(json.dumps(result, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _pools(dataset: Dataset, context: Context, *, people: int, seed: int) -> list[Pool]:
    """Draw people with events enough, and whose demonstrations were all known when the first question came."""
    pools: list[Pool] = []
    for user in np.random.default_rng(seed).permutation(len(dataset.users)).tolist():
        line = context.timeline(user)
        known = len(line)
        if known < SHOWN + ASKED or line.visible[known - ASKED] < known - ASKED:
            continue
        support = np.arange(known - ASKED, known)
        pools.append(
            Pool(
                line=line,
                known=known,
                demonstrations=np.arange(known - ASKED - SHOWN, known - ASKED),
                support=support,
                visible=np.ones((ASKED, SHOWN), np.bool_),
                weights=np.full(ASKED, 1 / ASKED),
                labels=line.labels[support].astype(np.int64),
            )
        )
        if len(pools) == people:
            break
    return pools


def _one(measure: BlockMeasure, pool: Pool) -> dict[str, float]:
    """Compare the two layouts for one person."""
    sets = np.concatenate(
        [~np.eye(SHOWN, dtype=np.bool_), np.ones((1, SHOWN), np.bool_), np.zeros((1, SHOWN), np.bool_)]
    )
    effects = pool.weights @ measure.effects(pool, np.ones(SHOWN)).effect
    blocks = losses(pool, measure.predictions(pool, sets.astype(np.float64))) @ pool.weights
    served = losses(pool, ServedMeasure(measure).predictions(pool, sets)) @ pool.weights
    return {
        "effect, leave-one-out in blocks": _rank(effects, blocks[:SHOWN] - blocks[SHOWN]),
        "effect, leave-one-out as served": _rank(effects, served[:SHOWN] - served[SHOWN]),
        "leave-one-out in blocks and as served": _rank(blocks[:SHOWN] - blocks[SHOWN], served[:SHOWN] - served[SHOWN]),
        "set effect in blocks": float(blocks[-1] - blocks[SHOWN]),
        "set effect as served": float(served[-1] - served[SHOWN]),
    }


def _rank(first: Float64[np.ndarray, " N"], second: Float64[np.ndarray, " N"]) -> float:
    return float(cast(Any, stats).spearmanr(first, second).statistic)  # its result is typed by no name


def _summary(found: list[dict[str, float]]) -> dict[str, object]:
    """Average over people."""
    columns = {name: np.array([one[name] for one in found]) for name in found[0]}
    blocks, served = columns["set effect in blocks"], columns["set effect as served"]
    return {
        "people": len(found),
        "demonstrations": SHOWN,
        "queries": ASKED,
        "means": {
            name: {"mean": float(np.nanmean(values)), "error": float(np.nanstd(values) / np.sqrt(len(values)))}
            for name, values in columns.items()
        },
        "signs of the set effect agree": float(((blocks > 0) == (served > 0)).mean()),
        "rank correlation of set effects over people": _rank(blocks, served),
    }


if __name__ == "__main__":
    main()
