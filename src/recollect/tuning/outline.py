"""A tuning task laid out without the weights of its language model, so that its cost can be told on any machine.

It decides what stands in: a tiny decoder for the language model, and the built-in encoder for item vectors that would
come from it. Rows, splits and prompts are those of the task, with the model's own tokenizer; where a recipe retrieves
by meaning, other events may be shown than will be, which changes the number of tokens little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from recollect.data.dataset import Dataset
from recollect.data.splits import Split
from recollect.model.backbone import load_tokenizer
from recollect.model.settings import NanoShape, TuningSettings
from recollect.model.tokenization import vocabulary_of
from recollect.prompt.answers import Answers
from recollect.prompt.wording import MARKER
from recollect.recipe import Recipe
from recollect.run.parts import Text
from recollect.run.prompting import make_prompter
from recollect.tuning.run import Task, prepare

_STAND_IN: Final = NanoShape(width=8, layers=1, heads=1, key_value_heads=1, feed_forward=8, vocabulary=300)


def outline(dataset: Dataset, recipe: Recipe, *, split: Split, seed: int) -> Task:
    """Prepare a task whose model must not be run; one with a backbone of our own is prepared as it is.

    Parameters
    ----------
    dataset : Dataset
        Log, catalog and users.
    recipe : Recipe
        The method.
    split : Split
        Rows to learn from and rows to choose by.
    seed : int
        Of everything random.

    Raises
    ------
    DataError
        If the training part is empty or has one label only.
    UsageError
        If the recipe asks for more rows than there are.
    ModelError
        If there is no such tokenizer, or it does not tell the answers apart.
    """
    if isinstance(recipe.backbone, NanoShape):
        return prepare(dataset, recipe=recipe, split=split, seed=seed)
    task = prepare(dataset, recipe=_with_stand_in(recipe), split=split, seed=seed)
    tokenizer = load_tokenizer(recipe.backbone.name, revision=recipe.backbone.revision)
    vocabulary = vocabulary_of(tokenizer)
    text = Text(vocabulary, Answers.in_context(vocabulary, recipe.answers, marker=MARKER), tokenizer)
    tuned = replace(task.tuned, recipe=recipe, text=text)
    return replace(task, tuned=tuned, prompter=make_prompter(tuned, dataset, measured=False))


def _with_stand_in(recipe: Recipe) -> Recipe:
    few_shot = TuningSettings(
        method="none",
        rows=recipe.tuning.rows,
        draw=recipe.tuning.draw,
        selection_rows=recipe.tuning.selection_rows,
    )
    vectors = recipe.vectors.model_copy(update={"text": "ngrams"})
    return recipe.model_copy(update={"backbone": _STAND_IN, "tuning": few_shot, "vectors": vectors})
