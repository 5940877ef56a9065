"""The one place where a recipe's layout becomes a prompter.

It decides which class stands for which layout; everything after it speaks `recollect.prompt.prompter.Prompter`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from recollect.context.block_evidence import BlockChooser
from recollect.context.controls import shuffled_labels, shuffled_titles
from recollect.context.demonstrations import MEASURED
from recollect.context.effect_choice import UnmeasuredChoice
from recollect.context.retrieval import Neighbours
from recollect.data.dataset import Dataset
from recollect.errors import ModelError, UsageError
from recollect.prompt.block import BlockLayout, BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.prompter import Prompter
from recollect.prompt.stream import StreamLayout
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.run.effects import BlockMeasure, measured_choice
from recollect.run.effects_served import ServedMeasure
from recollect.run.tuned import TunedModel


def make_prompter(tuned: TunedModel, dataset: Dataset, *, measured: bool = True) -> Prompter:
    """Make the prompter of a tuned model for a dataset to whose catalog it is set.

    Parameters
    ----------
    tuned : TunedModel
        Recipe, vocabulary and item vectors.
    dataset : Dataset
        Catalog and users.
    measured : bool
        Whether demonstrations may be chosen by asking the model; not while it is tuned.

    Raises
    ------
    ModelError
        If the answer words cannot be told apart by their tokens.
    """
    recipe = tuned.recipe
    if isinstance(recipe.layout, BlockSettings):
        prompter = _block(tuned, dataset, recipe.layout)
        return _measuring(prompter, tuned) if measured and recipe.demonstrations.choice in MEASURED else prompter
    layout = StreamLayout.of(tuned.vocabulary, dataset.catalog, dataset.users, recipe.layout)
    return StreamPrompter(layout, recipe.history, recipe.tuning.hidden_events)


def make_measure(tuned: TunedModel, dataset: Dataset) -> BlockMeasure:
    """Make what measures demonstrations for a model of the block layout.

    Parameters
    ----------
    tuned, dataset : TunedModel, Dataset
        As for `make_prompter`.

    Raises
    ------
    UsageError
        If the layout shows no demonstrations.
    ModelError
        If the answer words cannot be told apart by their tokens.
    """
    if not isinstance(tuned.recipe.layout, BlockSettings):
        raise UsageError(
            "a layout without separate demonstrations",
            got=f"recipe {tuned.recipe.name}, layout {tuned.recipe.layout.kind}",
            expected="the block layout",
            do="give a run of a block recipe, such as recicl or lrgd",
        )
    prompter = _block(tuned, dataset, tuned.recipe.layout)
    return BlockMeasure.of(tuned, prompter.layout, prompter.chooser)


def _measuring(prompter: BlockPrompter, tuned: TunedModel) -> BlockPrompter:
    """Let the model choose the demonstrations; one that cannot measure them leaves its reason in every trace."""
    recipe, chooser = tuned.recipe, prompter.chooser
    try:
        measure = BlockMeasure.of(tuned, prompter.layout, chooser)
        served = ServedMeasure(measure).predictions
        choice = measured_choice(
            measure, recipe.demonstrations, recipe.effects, neighbours=chooser.neighbours, served=served
        )
    except ModelError as error:
        choice = UnmeasuredChoice(recipe.demonstrations, chooser.neighbours, reason=error.what)
    return replace(prompter, chooser=replace(chooser, measured=choice))


def _block(tuned: TunedModel, dataset: Dataset, settings: BlockSettings) -> BlockPrompter:
    recipe, vectors = tuned.recipe, tuned.vectors
    neighbours = Neighbours.of(vectors.static, collaborative=vectors.collaborative, view=recipe.history)
    catalog = shuffled_titles(dataset.catalog, recipe.controls)
    layout = BlockLayout.of(
        tuned.vocabulary,
        catalog,
        dataset.users,
        settings=settings,
        history=recipe.history,
        answers=tuned.answers,
        span=tuned.language_model.span_limit,
    )
    return BlockPrompter(
        layout,
        BlockChooser(recipe.history, recipe.demonstrations, neighbours),
        supervise=recipe.tuning.supervise,
        blocks=recipe.tuning.blocks,
        original=recipe.tuning.original,
        veil=partial(shuffled_labels, settings=recipe.controls),
    )
