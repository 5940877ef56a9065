"""The world of the benchmarks: a made-up log with a catalog of a given size, and an untuned model of it.

It decides that weights are random (speed does not depend on them) and that two people have a long past: the *reader*,
whose list is scored at a fixed moment, and the *clicker*, to whom new events happen. Their events have moments of
their own, so that a plain causal prompt shows the same as the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int32

from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.data.facts import Facts
from recollect.data.log import EventLog
from recollect.recipe import load_recipe
from recollect.run.tuned import TunedModel
from recollect.run.untuned import new_model

READER: Final = 0
CLICKER: Final = 1
_GENRES: Final = ("Drama", "Comedy", "Horror", "Romance", "Crime", "Western", "Musical", "War")
_WORDS: Final = ("night", "river", "stranger", "garden", "winter", "letter", "island", "shadow", "city", "mirror")
_RULE: Final = "value>=4"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Set the size of the world and of the questions.

    Parameters
    ----------
    items, users, events : int
        Of the catalog and of the log without the two long pasts.
    known, later : int
        Events that are known when the list is scored, and how many more a window has room for; more than `rounds`.
    candidates : int
        Items that are scored together.
    rounds : int
        How often each way is timed.
    batches : tuple of int
        Tokens of a packed batch in tuning.
    judged : bool
        Whether the targets are meant for this size.
    """

    items: int
    users: int
    events: int
    known: int
    later: int
    candidates: int
    rounds: int
    batches: tuple[int, ...]
    judged: bool


def make_dataset(sizes: Sizes, *, seed: int = 0) -> Dataset:
    """Make a log in which each person likes some genres, with its catalog and users."""
    random = np.random.default_rng(seed)
    others = random.integers(2, sizes.users, sizes.events)
    long_past = sizes.known + sizes.later
    user = np.concatenate([others, np.full(long_past, READER), np.full(sizes.known, CLICKER)]).astype(np.int32)
    read, clicked = (random.permutation(sizes.items)[:count] for count in (long_past, sizes.known))
    item = np.concatenate([random.integers(0, sizes.items, sizes.events), read, clicked]).astype(np.int32)
    moment = np.concatenate(
        [random.integers(0, 10 * sizes.events, sizes.events), *map(np.arange, (long_past, sizes.known))]
    )
    liked = (item % len(_GENRES) < 3) ^ (random.random(len(item)) < 0.3)
    log = EventLog.sorted(
        user=user,
        item=item,
        time=1_000_000 + moment.astype(np.int64),
        value=np.where(liked, 5, 2).astype(np.float32),
        label=liked,
        user_count=sizes.users,
        item_count=sizes.items,
    )
    people = Users(
        tuple(f"u{code}" for code in range(sizes.users)), {"age": tuple(str(20 + c % 50) for c in range(sizes.users))}
    )
    return Dataset(log, _make_catalog(sizes.items), people, _facts(log))


def make_model(dataset: Dataset, sizes: Sizes) -> TunedModel:
    """Make `nano` with random weights, its windows long enough for the whole past of both people."""
    shown = sizes.known + sizes.later
    recipe = load_recipe(
        "stream", preset="nano", overrides=[f"history.shown={shown}", f"history.evict={min(32, shown)}"]
    )
    rows = np.arange(len(dataset.log))
    return new_model(dataset, recipe, rows=rows, prior=dataset.facts.like_share, seed=0)


def choose_items(dataset: Dataset, count: int, *, seed: int = 1) -> Int32[np.ndarray, " C"]:
    """Draw the codes of the candidates."""
    return np.random.default_rng(seed).permutation(len(dataset.catalog))[:count].astype(np.int32)


def _make_catalog(count: int) -> Catalog:
    codes = range(count)
    words = [f"{_WORDS[c % 10]} and the {_WORDS[c // 10 % 10]}, part {c // 100}" for c in codes]
    return Catalog(
        ids=tuple(f"i{code}" for code in codes),
        titles=tuple(f"The {text} ({1950 + code % 75})" for code, text in zip(codes, words, strict=True)),
        genres=tuple((_GENRES[code % len(_GENRES)],) for code in codes),
        years=np.array([1950 + code % 75 for code in codes], np.int16),
    )


def _facts(log: EventLog) -> Facts:
    """Fill in what an import would have found."""
    return Facts(
        source="benchmark", format="made", encoding="none", rule=_RULE, rows_read=len(log), rows_kept=len(log),
        rows_bad=0, bad=(), duplicates=0, repeats=0, repeats_kept=True, users=log.user_count, items=log.item_count,
        silent_users=0, silent_items=0, untitled=0, first_time=int(log.time[0]), last_time=int(log.time[-1]),
        like_share=float(log.label.mean()), notes=(),
    )  # fmt: skip
