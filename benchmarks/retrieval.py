"""Retrieval for each candidate, once for all of them, or none: what does a request cost, and how good is its answer?

    python -m benchmarks.retrieval RUN DATA --people 20 --sets 300 --json retrieval.json

What is compared, on one run's weights: `history.per` "candidate" and "set", and the most recent events. The cost is
that of a request with as many candidates as asked for, drawn from the items that a person has not met, with nothing
warm; the modes take turns, after a round that is not counted. The quality is that of candidate sets: all rated rows of
a person in the test part, asked at once at the moment of the first. It decides that a person is one observation.

Dimension letters: C candidates, S sets.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from jaxtyping import Bool, Float64, Int32

from recollect.cli.output import say, show, show_table
from recollect.data.dataset import Dataset
from recollect.evaluation.metrics import auc, user_aucs
from recollect.prompt.block import BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.rank.assess import split_of
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel

MODES: Final = {
    "per=candidate": {"per": "candidate"},
    "per=set": {"per": "set"},
    "recent": {"choice": "recent", "order": "time"},
}
_ROUNDS: Final = 3


@dataclass(frozen=True, eq=False, slots=True)
class Rated:
    """A person's C rated items of the test part, and the moment of the first."""

    user: str
    moment: int
    items: Int32[np.ndarray, " C"]
    liked: Bool[np.ndarray, " C"]


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--protocol", help="how the log is split; by default as the run was tuned")
    parser.add_argument("--people", type=int, default=20, help="whose requests are timed")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--sets", type=int, default=300, help="people whose rated rows are asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    dataset = Dataset.load(asked.data)
    tuned = TunedModel.load(asked.run).fitted_to(dataset.catalog)
    if not isinstance(tuned.recipe.layout, BlockSettings):
        parser.error(
            f"{asked.run} has the {tuned.recipe.layout.kind} layout, which retrieves nothing; give a block run"
        )
    random = np.random.default_rng(asked.seed)
    sets = _rated(tuned, dataset, protocol=asked.protocol, count=asked.sets, random=random)
    if not sets:
        parser.error("nobody with events before the test part both likes and dislikes in it; give another protocol")
    modes = {name: _served(tuned, dataset, view) for name, view in MODES.items()}
    costs = _costs(modes, sets[: asked.people], candidates=asked.candidates, random=random)
    qualities, aucs = _qualities(modes, sets)
    table = {name: costs[name] | qualities[name] for name in MODES}
    gaps = {name: _mean(aucs[name] - aucs["per=candidate"]) for name in MODES if name != "per=candidate"}
    result = {
        "people timed": min(asked.people, len(sets)),
        "candidates": asked.candidates,
        "events asked for": tuned.recipe.history.shown,
        "sets": len(sets),
        "rows": sum(len(one.items) for one in sets),
        "modes": table,
        "UAUC less that of per=candidate": gaps,
    }
    figures = [*table["per=set"]]
    rows = [[name, *(f"{found[figure]:,.4g}" for figure in figures)] for name, found in table.items()]
    show_table(rows, header=("", *figures))
    for name, gap in gaps.items():
        show(f"UAUC of {name} less that of per=candidate: {gap['mean']:+.4f} ± {gap['error']:.4f}")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        say(f"written to {asked.json}")


def _mean(values: Float64[np.ndarray, " S"]) -> dict[str, float]:
    return {"mean": float(values.mean()), "error": float(values.std() / np.sqrt(len(values)))}


def _rated(
    tuned: TunedModel, dataset: Dataset, *, protocol: str | None, count: int, random: np.random.Generator
) -> list[Rated]:
    """Draw people of whom something was known before the test part, and who liked some of its items, not all."""
    log, rows = dataset.log, split_of(tuned, dataset, protocol=protocol).test
    known = set(log.user[log.time < log.time[rows].min(initial=log.time[-1])].tolist())
    found: list[Rated] = []
    drawn: list[int] = random.permutation(np.unique(log.user[rows])).tolist()
    for user in drawn:
        mine = rows[log.user[rows] == user]
        if user in known and 0 < log.label[mine].sum() < len(mine) and len(found) < count:
            found.append(Rated(dataset.users.ids[user], int(log.time[mine[0]]), log.item[mine], log.label[mine]))
    return found


def _served(tuned: TunedModel, dataset: Dataset, view: dict[str, str]) -> Recommender:
    """Serve the same weights with another view of the history."""
    history = tuned.recipe.history.model_copy(update=view)
    return Recommender(replace(tuned, recipe=tuned.recipe.model_copy(update={"history": history})), dataset)


def _costs(
    modes: dict[str, Recommender], people: list[Rated], *, candidates: int, random: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Ask about unmet items, each mode in turn; return medians over requests, and means of what is shown."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in modes}
    for number in range(_ROUNDS + 1):
        for one in people:
            items = _unmet(modes["recent"], one, count=candidates, random=random)
            for name in random.permutation([*modes]).tolist():
                figures = _request(modes[name], one, items)
                if number:
                    found[name].append(figures)
    kinds = {"events": statistics.fmean, "genres": statistics.fmean}
    return {
        name: {key: kinds.get(key, statistics.median)([one[key] for one in figures]) for key in figures[0]}
        for name, figures in found.items()
    }


def _unmet(served: Recommender, one: Rated, *, count: int, random: np.random.Generator) -> Int32[np.ndarray, " C"]:
    """Draw items that a person has no event with."""
    met = served.context.timeline(served.person(one.user)).items
    unmet = np.setdiff1d(np.arange(len(served.catalog), dtype=np.int32), met)
    return random.permutation(unmet)[:count]


def _request(served: Recommender, one: Rated, items: Int32[np.ndarray, " C"]) -> dict[str, float]:
    """Ask once, with nothing warm, and count what was laid out."""
    ids = _ids(served, items)
    served.trunks.clear()
    begun = time.perf_counter()
    question = served.question(one.user, ids, at=one.moment)
    laid_out = time.perf_counter()
    served.score(one.user, ids, at=one.moment)
    scored = time.perf_counter()
    events, genres = _shown(served, one, items)
    return {
        "tokens": len(question.trunk) + int((question.branches.slots + 1).sum()),
        "trunk": len(question.trunk),
        "ms": 1000 * (scored - laid_out),
        "ms laying out": 1000 * (laid_out - begun),
        "events": events,
        "genres": genres,
    }


def _ids(served: Recommender, items: Int32[np.ndarray, " C"]) -> list[str]:
    codes: list[int] = items.tolist()
    return [served.catalog.ids[code] for code in codes]


def _shown(served: Recommender, one: Rated, items: Int32[np.ndarray, " C"]) -> tuple[float, float]:
    """Return how many events a candidate's history holds, and how many first genres are among them."""
    writer, catalog = cast(BlockPrompter, served.prompter).writer, served.catalog
    line = served.context.timeline(served.person(one.user))
    line = line.until(line.visible_at(one.moment, gap=served.context.gap))
    prompts = [writer.together(line, items)] if writer.chooser.is_shared else writer.each(line, items)
    histories: list[list[int]] = [line.items[prompt.evidence.query].tolist() for prompt in prompts]
    genres = [{catalog.genres[item][0] for item in shown if catalog.genres[item]} for shown in histories]
    return statistics.fmean(map(len, histories)), statistics.fmean(map(len, genres))


def _qualities(
    modes: dict[str, Recommender], sets: list[Rated]
) -> tuple[dict[str, dict[str, float]], dict[str, Float64[np.ndarray, " S"]]]:
    """Ask each person's rated items at once; return AUC over all rows, UAUC, and the AUC of each set."""
    person = np.repeat(np.arange(len(sets)), [len(one.items) for one in sets])
    liked = np.concatenate([one.liked for one in sets])
    found: dict[str, dict[str, float]] = {}
    aucs: dict[str, Float64[np.ndarray, " S"]] = {}
    for name, served in modes.items():
        scores = [served.score(one.user, _ids(served, one.items), at=one.moment) for one in sets]
        aucs[name] = user_aucs(person, liked, np.concatenate(scores))
        found[name] = {"AUC": auc(liked, np.concatenate(scores)), "UAUC": float(aucs[name].mean())}
    return found, aucs


if __name__ == "__main__":
    main()
