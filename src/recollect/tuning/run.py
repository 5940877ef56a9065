"""From a dataset, a split and a recipe to a run folder.

It decides what a run learns from: item vectors and the like share are fitted on the tuning rows alone; contexts and
item statistics read the log as it was at each moment, whatever part an event belongs to; validation rows only choose
among epochs and calibrate, and test rows are never touched.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.data.digest import digest_of_dataset, digest_of_log
from recollect.data.few_shot import FewShot, few_shot
from recollect.data.log import EventLog
from recollect.data.splits import Split, rows_of_some_users, split_by_time
from recollect.errors import DataError, UsageError
from recollect.model.settings import NanoShape
from recollect.model.ways import compile_for_tuning
from recollect.progress import SILENT, Progress
from recollect.prompt.prompter import Prompter
from recollect.recipe import Recipe, dump_recipe, load_recipe
from recollect.run.answering import RowAnswerer
from recollect.run.calibration import fit_calibration
from recollect.run.prompting import make_prompter
from recollect.run.sources import digest_of_sources
from recollect.run.tuned import TunedModel
from recollect.run.untuned import new_model
from recollect.tuning.batches import Epochs
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.loop import State, TuningLoop
from recollect.tuning.parallel import Team, join_team
from recollect.tuning.selection import Judge


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """Hold all that a tuning starts from: an untuned model, its prompts, and the rows to learn from and choose by."""

    tuned: TunedModel
    context: Context
    prompter: Prompter
    rows: Int64[np.ndarray, " N"]
    choosing: Int64[np.ndarray, " V"]
    split: Split
    seed: int

    @property
    def epochs(self) -> Epochs:
        """The batches of each epoch."""
        return Epochs(self.context, self.prompter, self.rows, self.tuned.recipe.tuning.batch_tokens, self.seed)

    @property
    def answerer(self) -> RowAnswerer:
        """The model as it answers rows of the log."""
        return RowAnswerer(self.tuned, self.context, self.prompter)


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
    UsageError
        If the recipe asks for more rows than there are, tunes nothing of a model with random weights, or its batches
        cannot be shared evenly among the processes of a launcher.
    ModelError
        If the backbone cannot be loaded, cannot show prompt trees, or cannot be compiled as asked.
    RecollectError
        If the run folder cannot be written, or the processes do not find each other.
    """
    recipe = recipe or load_recipe("stream")
    _require_learning(recipe)
    team = join_team()
    team.require_share(recipe.tuning.accumulate)
    task = prepare(dataset, recipe=recipe, split=split, seed=seed)
    checkpoint = CheckpointFile.beside(out, fingerprint=_fingerprint(dataset, task))
    if team.is_main and not resume:
        checkpoint.remove()
    state = State()
    if recipe.tuning.method != "none":
        state = _run_loop(task, checkpoint, team=team, progress=progress)
    tuned = task.tuned
    if team.is_main:
        tuned = _calibrated(task)
        tuned.card.update(_card(dataset, task, state))
        tuned.save(out, drawn=_drawn(dataset.log, task))
        checkpoint.remove()
    team.wait()
    whole = team.is_main and recipe.tuning.method != "lora"  # loading merges the adapter
    return tuned if whole else TunedModel.load(out)


def prepare(dataset: Dataset, *, recipe: Recipe | None = None, split: Split | None = None, seed: int = 0) -> Task:
    """Make everything that a tuning starts from, without starting it; parameters as of `tune`.

    Raises
    ------
    DataError
        If the training part is empty or has one label only.
    UsageError
        If the recipe asks for more rows than there are.
    ModelError
        If the backbone cannot be loaded or cannot show prompt trees.
    """
    recipe = recipe or load_recipe("stream")
    split = split or split_by_time(dataset.log)
    settings = recipe.tuning
    prior = _prior(dataset.log, split.train)
    known = _known_while_tuning(dataset.log, split)
    tuned = new_model(dataset, recipe, rows=split.train, prior=prior, seed=seed)
    return Task(
        tuned=tuned,
        context=Context(known, rule=recipe.past.rule(), prior=prior),
        prompter=make_prompter(tuned, dataset, measured=False),
        rows=few_shot(dataset.log, split.train, count=settings.rows, draw=settings.draw, seed=seed),
        choosing=rows_of_some_users(known, split.valid, wanted=settings.selection_rows, seed=seed),
        split=split,
        seed=seed,
    )


def _require_learning(recipe: Recipe) -> None:
    """Refuse a model that has learned nothing and will not.

    Raises
    ------
    UsageError
        If the recipe tunes nothing and names no pretrained model.
    """
    if recipe.tuning.method == "none" and isinstance(recipe.backbone, NanoShape):
        raise UsageError(
            "a method that tunes nothing, on a model with random weights",
            got=f"recipe {recipe.name} without a backbone",
            expected="a pretrained language model",
            do="give --backbone MODEL; `recollect pretrain` makes a small one where none can be downloaded",
        )


def _run_loop(task: Task, checkpoint: CheckpointFile, *, team: Team, progress: Progress) -> State:
    """Tune to the end.

    Raises
    ------
    ModelError
        If the model cannot be compiled as asked.
    RecollectError
        If a checkpoint cannot be written.
    """
    if task.tuned.recipe.tuning.compile:
        compile_for_tuning(task.tuned.language_model)
    judge = Judge(task.answerer, task.choosing).judge
    loop = TuningLoop(task.tuned, epochs=task.epochs, judge=judge, checkpoint=checkpoint, team=team)
    with torch.random.fork_rng(devices=[]):
        return loop.run(progress=progress)


def _calibrated(task: Task) -> TunedModel:
    """Fit slope and shift on the validation rows."""
    kind = task.tuned.recipe.answers.calibration
    if kind == "none" or not len(task.choosing):
        return task.tuned
    score, label = task.answerer.log_odds(task.choosing), task.context.log.label[task.choosing]
    return replace(task.tuned, calibration=fit_calibration(score, label, kind=kind))


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


def _fingerprint(dataset: Dataset, task: Task) -> str:
    """Return what tells a tuning from every other: recipe, seed, data, models of this machine, and split."""
    recipe = task.tuned.recipe
    known = f"{dump_recipe(recipe.wordless())} {task.seed} {digest_of_dataset(dataset)} {digest_of_sources(recipe)}"
    sha = hashlib.sha256(known.encode())
    for part in (task.split.train, task.split.valid):
        sha.update(f" {len(part)}:".encode())
        sha.update(np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()


def _drawn(log: EventLog, task: Task) -> FewShot | None:
    """Return the rows as they are kept with the run, if the recipe draws any."""
    return FewShot(task.rows, task.seed, digest_of_log(log)) if task.tuned.recipe.tuning.rows else None


def _card(dataset: Dataset, task: Task, state: State) -> dict[str, object]:
    rows = np.ascontiguousarray(task.rows).tobytes()
    return {
        "recipe": "recipe.toml",
        "seed": task.seed,
        "protocol": task.split.name,
        "rows": len(task.rows),
        "rows_digest": hashlib.sha256(rows).hexdigest(),
        "tuned_until": int(dataset.log.time[task.split.train[-1]]),
        "kept_epoch": state.best_epoch + 1,
        "epochs": state.losses,
    }
