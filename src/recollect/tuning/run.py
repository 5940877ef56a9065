"""From a dataset, a split and a recipe to a run folder.

It decides what a run learns from: item vectors and the like share are fitted on the tuning rows alone; contexts and
item statistics read the log as it was at each moment, whatever part an event belongs to; validation rows only choose
among epochs, and test rows are never touched.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from recollect.context.evidence import Context
from recollect.context.item_vectors import ItemVectors
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.data.splits import Split, split_by_time
from recollect.errors import DataError
from recollect.evaluation.metrics import auc, log_loss, uauc
from recollect.progress import SILENT, Progress
from recollect.prompt.stream import StreamLayout
from recollect.recipe import Recipe, dump_recipe, load_recipe
from recollect.run.answering import RowAnswerer
from recollect.run.tuned import TunedModel, new_model
from recollect.tuning.batches import Epochs
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.loop import State, TuningLoop


def tune(
    dataset: Dataset,
    *,
    out: Path,
    recipe: Recipe | None = None,
    split: Split | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    resume: bool = True,
) -> TunedModel:
    """Tune a model on the training rows of a split, and write it as a run folder.

    Parameters
    ----------
    dataset : Dataset
        Log, catalog and users.
    out : Path
        The run folder; a tuning that was stopped before goes on.
    recipe : Recipe, optional
        The method; `stream` by default.
    split : Split, optional
        Rows to learn from and rows to choose by; by default the first 80 % of the events and the next 10 %.
    seed : int
        Of everything random.
    progress : Progress
        Is told what is going on.
    resume : bool
        Whether a checkpoint of the same task is taken up.

    Returns
    -------
    TunedModel
        As `TunedModel.load` gives it back, bit for bit.

    Raises
    ------
    DataError
        If the training part is empty or has one label only.
    RecollectError
        If the run folder cannot be written.
    """
    recipe = recipe or load_recipe("stream")
    split = split or split_by_time(dataset.log)
    prior = _prior(dataset.log, split.train)
    known = _known_while_tuning(dataset.log, split)
    vectors = ItemVectors.fit(dataset, split.train, recipe.vectors, seed=seed)
    tuned = new_model(dataset, recipe, vectors=vectors, prior=prior, seed=seed)
    context = Context(known, rule=recipe.past.rule(), prior=prior)
    layout = StreamLayout.of(tuned.vocabulary, dataset.catalog, dataset.users, recipe.layout)
    checkpoint = CheckpointFile.beside(out, fingerprint=_fingerprint(dataset.log, recipe, split, seed=seed))
    if not resume:
        checkpoint.remove()
    loop = TuningLoop(
        tuned,
        epochs=Epochs(context, layout, recipe, split.train, seed),
        judge=_Judge(RowAnswerer(tuned, context, layout), _selection_rows(known, split.valid, recipe, seed=seed)).judge,
        checkpoint=checkpoint,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = loop.run(progress=progress)
    tuned.card.update(_card(dataset, split, state, seed=seed))
    tuned.save(out)
    checkpoint.remove()
    return tuned


class _Judge:
    """Measure a model on validation rows, lower is better; None without any."""

    def __init__(self, answerer: RowAnswerer, rows: Int64[np.ndarray, " R"]) -> None:
        self.answerer = answerer
        self.rows = rows
        self.by_ranking = answerer.tuned.recipe.tuning.select == "ranking"

    def judge(self) -> float | None:
        if not len(self.rows):
            return None
        log = self.answerer.context.log
        user, label = log.user[self.rows], log.label[self.rows]
        probability = self.answerer.score(self.rows)
        ranking = 1 - (auc(label, probability) + uauc(user, label, probability).value) / 2
        return ranking if self.by_ranking and math.isfinite(ranking) else log_loss(label, probability)


def _prior(log: EventLog, rows: Int64[np.ndarray, " K"]) -> float:
    prior = float(log.label[rows].mean()) if len(rows) else 0.0
    if not 0 < prior < 1:
        raise DataError(
            "a training part without both labels",
            got=f"{len(rows)} rows, {prior:.0%} likes",
            expected="likes and dislikes",
            do="check the label rule (`recollect import --like`) and the split",
        )
    return prior


def _known_while_tuning(log: EventLog, split: Split) -> EventLog:
    """Return the log without the test part, so that nothing of it can be seen; row numbers stay the same."""
    last = max(int(split.train[-1]), int(split.valid[-1]) if len(split.valid) else -1)
    return log.take(np.arange(last + 1))


def _selection_rows(
    log: EventLog, rows: Int64[np.ndarray, " R"], recipe: Recipe, *, seed: int
) -> Int64[np.ndarray, " K"]:
    """Draw whole users until there are enough rows to choose by."""
    wanted = recipe.tuning.selection_rows
    if len(rows) <= wanted:
        return rows
    users, counts = np.unique(log.user[rows], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(users))
    chosen = users[order[: 1 + int(np.searchsorted(np.cumsum(counts[order]), wanted))]]
    return rows[np.isin(log.user[rows], chosen)]


def _fingerprint(log: EventLog, recipe: Recipe, split: Split, *, seed: int) -> str:
    sha = hashlib.sha256(f"{dump_recipe(recipe)} {seed}".encode())
    for part in (log.user, log.item, log.time, log.label, split.train, split.valid):
        sha.update(np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()


def _card(dataset: Dataset, split: Split, state: State, *, seed: int) -> dict[str, object]:
    return {
        "recipe": "recipe.toml",
        "seed": seed,
        "protocol": split.name,
        "rows": len(split.train),
        "tuned_until": int(dataset.log.time[split.train[-1]]),
        "kept_epoch": state.best_epoch + 1,
        "epochs": state.losses,
    }
