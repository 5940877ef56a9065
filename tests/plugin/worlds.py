"""Small worlds for tests: a seeded log of people with tastes, whole datasets and untuned models of them."""

from typing import cast

import numpy as np
import torch
from torch import nn

from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.data.facts import Facts
from recollect.data.log import EventLog
from recollect.recipe import Recipe, load_recipe
from recollect.run.tuned import TunedModel
from recollect.run.untuned import new_model

GENRES = ("Drama", "Comedy", "Horror")


def planted_world(*, users: int = 24, items: int = 30, events: int = 600, seed: int = 0) -> Dataset:
    """Make a dataset in which each person likes one genre; about a third of the events share their instant."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(users * items)[:events]
    user, item = (pairs // items).astype(np.int32), (pairs % items).astype(np.int32)
    liked = (item % 3 == user % 3) ^ (random.random(events) < 0.1)
    log = EventLog.sorted(
        user=user,
        item=item,
        time=1000 + 10 * random.integers(0, events // 3, events),
        value=np.where(liked, 5, 2).astype(np.float32),
        label=liked,
        user_count=users,
        item_count=items,
    )
    catalog = Catalog(
        ids=tuple(f"i{code}" for code in range(items)),
        titles=tuple(f"{GENRES[code % 3]} of the {code}th night ({1970 + code})" for code in range(items)),
        genres=tuple((GENRES[code % 3],) for code in range(items)),
        years=np.arange(1970, 1970 + items, dtype=np.int16),
    )
    people = Users(
        tuple(f"u{code}" for code in range(users)), {"age": tuple(str(20 + code % 4) for code in range(users))}
    )
    return Dataset(log, catalog, people, _facts(log))


def _facts(log: EventLog) -> Facts:
    """Fill in what an import would have found."""
    return Facts(
        source="world", format="made", encoding="none", rule="value>=4", rows_read=len(log), rows_kept=len(log),
        rows_bad=0, bad=(), duplicates=0, repeats=0, repeats_kept=False, users=log.user_count, items=log.item_count,
        silent_users=0, silent_items=0, untitled=0, first_time=int(log.time[0]), last_time=int(log.time[-1]),
        like_share=float(log.label.mean()), notes=(),
    )  # fmt: skip


def small_recipe(*more: str, channel: str = "soft") -> Recipe:
    """Make the stream recipe tiny: width 16, two layers, windows of 12 events."""
    return load_recipe(
        "stream",
        overrides=[
            "backbone.width=16", "backbone.layers=2", "backbone.heads=2", "backbone.key_value_heads=1",
            "backbone.feed_forward=24", "backbone.vocabulary=300", "channel.hidden=16", "history.shown=12",
            "history.evict=4", "vectors.text_width=4", "vectors.collaborative_width=3", "tuning.batch_tokens=512",
            "tuning.epochs=2", "tuning.warmup=2", f"layout.channel={channel}", *more,
        ],
    )  # fmt: skip


def untuned(dataset: Dataset, recipe: Recipe, *, seed: int = 0) -> TunedModel:
    """Make a model with random weights for a dataset."""
    rows = np.arange(len(dataset.log) // 2)
    model = new_model(dataset, recipe, rows=rows, prior=0.4, seed=seed)
    with torch.no_grad():  # wide answers, so that scores differ visibly
        cast(nn.Linear, model.language_model.causal.get_output_embeddings()).weight.mul_(50)
    model.language_model.eval()
    return model


def small_block(name: str, *more: str, preset: str | None = "small") -> Recipe:
    """Make a block recipe tiny: a decoder of width 16 with random weights that reads its own small vocabulary."""
    return load_recipe(
        name,
        preset=preset,
        overrides=[
            "backbone.width=16", "backbone.layers=2", "backbone.heads=2", "backbone.key_value_heads=1",
            "backbone.feed_forward=24", "backbone.vocabulary=400", "vectors.text=ngrams", "vectors.text_width=4",
            "vectors.collaborative_width=3", "history.shown=6", "tuning.epochs=1", "tuning.batch_tokens=1024",
            "tuning.warmup=2", *more,
        ],
    )  # fmt: skip
