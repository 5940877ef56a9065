"""A model before tuning: what a recipe names, fitted to a dataset, with weights that have learned nothing from it yet.

It decides the order: backbone, then item vectors (which may come from it), then the item channel; and that item vectors
look at the tuning rows alone.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64

from recollect.context.item_vectors import ItemVectors
from recollect.data.dataset import Dataset
from recollect.model.backbone import prepare_for_tuning
from recollect.model.settings import PretrainedBackbone
from recollect.recipe import Recipe
from recollect.run.parts import join_model, make_channel, make_encoder, new_parts
from recollect.run.tuned import TunedModel


def new_model(
    dataset: Dataset, recipe: Recipe, *, rows: Int64[np.ndarray, " N"], prior: float, seed: int
) -> TunedModel:
    """Make the model of a recipe for a dataset, ready to be tuned.

    Parameters
    ----------
    dataset : Dataset
        Log, catalog and users.
    recipe : Recipe
        The method.
    rows : Int64[N]
        Rows of the tuning part, for the collaborative vectors.
    prior : float
        Like share of the tuning part.
    seed : int
        Of all random weights.

    Raises
    ------
    ModelError
        If the backbone cannot be loaded or cannot show prompt trees.
    """
    causal, text = new_parts(dataset, recipe, seed=seed)
    encoder = make_encoder(recipe, causal=causal, text=text)
    vectors = ItemVectors.fit(dataset, rows, recipe.vectors, seed=seed, encoder=encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        channel = make_channel(vectors, recipe)
    revision = recipe.backbone.revision if isinstance(recipe.backbone, PretrainedBackbone) else "main"
    prepare_for_tuning(causal, recipe.tuning, seed=seed, revision=revision)
    return TunedModel(recipe, join_model(causal, text, channel), text, vectors, prior)
