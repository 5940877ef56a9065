"""A planted world, a tiny method as a recipe file, and points made by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from worlds import planted_world, small_recipe

from recollect.data.past import PastRule
from recollect.data.splits import split_by_time
from recollect.evaluation.predictions import Predictions
from recollect.recipe import dump_recipe
from recollect.studies.design import Arm, Design
from recollect.studies.grid import Answer, Cell, Record
from recollect.studies.methods import FloorMethod


def _predictions(rows, right):
    """Two rows per user, the second of them a like; a row that is right says so."""
    label = np.arange(len(rows)) % 2 == 1
    return Predictions(
        rows=rows,
        user=(np.arange(len(rows)) // 2).astype(np.int32),
        item=np.zeros(len(rows), np.int32),
        time=rows,
        label=label,
        probability=np.where(label == right, 0.75, 0.25),
        known=np.zeros(len(rows), np.int32),
    )


@pytest.fixture(scope="session")
def said() -> Callable[..., Answer]:
    """Make an answer of hand: rows from `first`, two per user, the second of them a like; `wrong` pairs are turned."""

    def make(series, place, *, first=0, pairs=4, wrong=0, seed=0) -> Answer:
        rows = first + np.arange(2 * pairs)
        predictions = _predictions(rows, np.arange(2 * pairs) >= 2 * wrong)
        record = Record(
            series=series, place=place, seed=seed, auc=None, uauc=None, uauc_users=0, log_loss=None, ece=None,
            rows=len(rows), seconds=1.0, milliseconds_per_row=1.0, tokens_per_row=None, tuning=None,
        )  # fmt: skip
        cell = Cell(series, place, seed, FloorMethod("user mean", rows, PastRule()), rows)
        return Answer(f"{series} {place} {seed}", cell, record, predictions)

    return make


@pytest.fixture(scope="session")
def world():
    return planted_world()


@pytest.fixture(scope="session")
def arm(tmp_path_factory) -> Arm:
    """The tiny stream, tuned for one epoch."""
    file = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    file.write_text(dump_recipe(small_recipe("tuning.epochs=1")), encoding="utf-8")
    return Arm("tiny", str(file))


@pytest.fixture(scope="session")
def design(world, arm) -> Design:
    return Design(world, (arm,), split_by_time(world.log), rows=30)
