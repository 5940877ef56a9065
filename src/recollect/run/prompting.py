"""The one place where a recipe's layout becomes a prompter.

It decides which class stands for which layout; everything after it speaks `recollect.prompt.prompter.Prompter`.
"""

from __future__ import annotations

from functools import partial

from recollect.context.block_evidence import BlockChooser
from recollect.context.controls import shuffled_labels, shuffled_titles
from recollect.context.retrieval import Neighbours
from recollect.data.dataset import Dataset
from recollect.prompt.block import BlockLayout, BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.prompter import Prompter
from recollect.prompt.stream import StreamLayout
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.run.tuned import TunedModel


def make_prompter(tuned: TunedModel, dataset: Dataset) -> Prompter:
    """Make the prompter of a tuned model for a dataset to whose catalog it is set.

    Parameters
    ----------
    tuned : TunedModel
        Recipe, vocabulary and item vectors.
    dataset : Dataset
        Catalog and users.

    Raises
    ------
    ModelError
        If the answer words cannot be told apart by their tokens.
    """
    recipe = tuned.recipe
    if isinstance(recipe.layout, BlockSettings):
        return _block(tuned, dataset, recipe.layout)
    layout = StreamLayout.of(tuned.vocabulary, dataset.catalog, dataset.users, recipe.layout)
    return StreamPrompter(layout, recipe.history, recipe.tuning.hidden_events)


def _block(tuned: TunedModel, dataset: Dataset, settings: BlockSettings) -> BlockPrompter:
    recipe, vectors = tuned.recipe, tuned.vectors
    neighbours = Neighbours.of(vectors.static, collaborative=vectors.collaborative, view=recipe.history)
    catalog = shuffled_titles(dataset.catalog, recipe.controls)
    layout = BlockLayout.of(
        tuned.vocabulary, catalog, dataset.users, settings=settings, history=recipe.history, answers=tuned.answers
    )
    return BlockPrompter(
        layout,
        BlockChooser(recipe.history, recipe.demonstrations, neighbours),
        supervise=recipe.tuning.supervise,
        blocks=recipe.tuning.blocks,
        original=recipe.tuning.original,
        veil=partial(shuffled_labels, settings=recipe.controls),
    )
