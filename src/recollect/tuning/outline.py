"""A tuning task laid out without the weights of its language model, so that its cost can be told on any machine.

It decides what stands in: a tiny decoder for the language model, and the built-in encoder for item vectors that would
come from it. The stand-in looks as far as the model; answers and chat are for the model's own tokenizer to judge. Rows,
splits and prompts are those of the task, with the model's own tokenizer; where a recipe retrieves by meaning, other
events may be shown than will be, which changes the number of tokens little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from recollect.data.dataset import Dataset
from recollect.data.splits import Split
from recollect.model.backbone import load_tokenizer
from recollect.model.check import span_limit
from recollect.model.estimate import sketch
from recollect.model.settings import NanoShape, PretrainedBackbone, TuningSettings
from recollect.model.tokenization import vocabulary_of
from recollect.prompt.answers import Answers, AnswerSettings
from recollect.prompt.block import BlockSettings
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
        If there is no such model or tokenizer, or it does not tell the answers apart.
    """
    if isinstance(recipe.backbone, NanoShape):
        return prepare(dataset, recipe=recipe, split=split, seed=seed)
    task = prepare(dataset, recipe=_with_stand_in(recipe, recipe.backbone), split=split, seed=seed)
    tokenizer = load_tokenizer(recipe.backbone.name, revision=recipe.backbone.revision)
    vocabulary = vocabulary_of(tokenizer)
    text = Text(vocabulary, Answers.in_context(vocabulary, recipe.answers, marker=MARKER), tokenizer)
    tuned = replace(task.tuned, recipe=recipe, text=text)
    return replace(task, tuned=tuned, prompter=make_prompter(tuned, dataset, measured=False))


def _with_stand_in(recipe: Recipe, backbone: PretrainedBackbone) -> Recipe:
    """Let a tiny decoder look as far as a model; what only that model's tokenizer can tell is left out."""
    positions = span_limit(sketch(backbone).config.get_text_config())
    few_shot = TuningSettings(
        method="none",
        rows=recipe.tuning.rows,
        draw=recipe.tuning.draw,
        selection_rows=recipe.tuning.selection_rows,
    )
    vectors = recipe.vectors.model_copy(update={"text": "ngrams"})
    layout = (
        recipe.layout.model_copy(update={"chat": False}) if isinstance(recipe.layout, BlockSettings) else recipe.layout
    )
    changes = {
        "backbone": _STAND_IN.model_copy(update={"positions": positions}),
        "tuning": few_shot,
        "vectors": vectors,
        "layout": layout,
        "answers": AnswerSettings(),
    }
    return recipe.model_copy(update=changes)
