"""Cost: tokens per answered row, and what a tuning took in tokens and floating-point operations.

It decides the unit in which methods are compared: a token is one that was laid out, without padding. A tuning costs
6 x (weights outside embeddings and output layer) x tokens: two operations per weight forward, four backward. That
leaves out attention itself and judging on validation rows, and is too much by up to a third where most weights are
frozen (LoRA). Source: Kaplan et al. (arXiv 2001.08361), section 2.1.

Dimension letters: R rows.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Int64
from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedModel

from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.data.few_shot import few_shot
from recollect.data.splits import Split, rows_of_some_users
from recollect.prompt.prompter import Lesson
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel

FORMULA: Final = "6 x weights outside embeddings and output layer x tokens laid out"
_ROWS_COUNTED: Final = 1000
_LESSONS_COUNTED: Final = 400


class TuningCost(BaseModel):
    """What a tuning took; `seconds` are of the process that ended it, and None if that was interrupted."""

    model_config = ConfigDict(frozen=True)

    rows: int
    epochs: int
    tokens: float
    weights: int
    flops: float
    seconds: float | None = None


def tuning_cost(tuned: TunedModel, dataset: Dataset, *, split: Split, seed: int, seconds: float | None) -> TuningCost:
    """Count what a run took to tune; tokens of an epoch are measured on a sample of its lessons.

    Parameters
    ----------
    tuned : TunedModel
        Its card says how many epochs it took.
    dataset : Dataset
        As it was tuned on.
    split, seed
        As it was tuned with.
    seconds : float, optional
        Wall time of the tuning.

    Raises
    ------
    UsageError
        If the recipe asks for more rows than there are.
    """
    settings = tuned.recipe.tuning
    rows = few_shot(dataset.log, split.train, count=settings.rows, draw=settings.draw, seed=seed)
    epochs = len(tuned.card.get("epochs", ()))
    tokens = epochs * _tokens_of_epoch(tuned, dataset, rows, seed=seed) if epochs else 0.0
    weights = body_weights(tuned.language_model.causal)
    return TuningCost(
        rows=len(rows), epochs=epochs, tokens=tokens, weights=weights, flops=6.0 * weights * tokens, seconds=seconds
    )


def tokens_per_row(tuned: TunedModel, dataset: Dataset, rows: Int64[np.ndarray, " R"], *, blind: bool = False) -> float:
    """Return the mean number of tokens laid out per answered row, over whole users of about a thousand rows.

    Rows of one user may share a trunk; what is shared counts once. Demonstrations that a model would choose are counted
    as those that it falls back to, of which there are as many.

    Raises
    ------
    LeakError
        If a row would see an event of its own instant or later.
    """
    sample = rows_of_some_users(dataset.log, rows, wanted=_ROWS_COUNTED, seed=0)
    trees = make_prompter(tuned, dataset, measured=False).replay(_context(tuned, dataset), sample, blind=blind)
    return sum(len(tree) for tree in trees) / len(sample)


def body_weights(causal: PreTrainedModel) -> int:
    """Count the weights outside embeddings and output layer; one that is used twice counts once."""
    outside: list[torch.nn.Module] = [one for one in causal.modules() if isinstance(one, torch.nn.Embedding)]
    head = cast("torch.nn.Module | None", causal.get_output_embeddings())
    outside += [] if head is None else [head]
    left_out = {id(weight) for module in outside for weight in module.parameters()}
    return sum(weight.numel() for weight in causal.parameters() if id(weight) not in left_out)


def _tokens_of_epoch(tuned: TunedModel, dataset: Dataset, rows: Int64[np.ndarray, " R"], *, seed: int) -> float:
    """Lay out lessons of the first epoch, evenly spaced, and scale up."""
    random = np.random.default_rng([seed, 0])
    lessons = make_prompter(tuned, dataset, measured=False).lessons(_context(tuned, dataset), rows, random=random)
    places = np.unique(np.linspace(0, len(lessons) - 1, _LESSONS_COUNTED).astype(int)).tolist()
    counted: list[Lesson] = [lessons[place] for place in places]
    return sum(len(lesson.tree(random)) for lesson in counted) * len(lessons) / len(counted)


def _context(tuned: TunedModel, dataset: Dataset) -> Context:
    return Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
