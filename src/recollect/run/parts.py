"""The parts of a tuned model by what its recipe says: backbone, vocabulary, answers, item channel; made, saved, loaded.

It decides which layouts read titles (the backbone's own vocabulary, no item channel) and which read soft tokens (a
vocabulary trained on the catalog, and a channel), and what of a backbone is kept in a run: all of a tuned one, the
adapter of one tuned by LoRA, nothing of one that stayed as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from recollect.context.item_vectors import ItemVectors
from recollect.context.vectors import ItemEncoder, TextEncoder
from recollect.data.dataset import Dataset
from recollect.model.backbone import LoadedBackbone, load_backbone, save_backbone
from recollect.model.item_channel import ItemChannel
from recollect.model.language_model import LanguageModel
from recollect.model.nano import build_nano
from recollect.model.settings import NanoShape, PretrainedBackbone
from recollect.model.text_vectors import PooledEncoder
from recollect.prompt.answers import Answers
from recollect.prompt.block import BlockSettings
from recollect.prompt.vocabulary import DISLIKE, LIKE, SPECIAL, Vocabulary
from recollect.prompt.wording import MARKER, sentences
from recollect.recipe import Recipe

_NGRAMS: Final = "ngrams"
_BACKBONE: Final = "backbone"
_STREAM_ANSWERS: Final = Answers(words=("<dislike>", "<like>"), tokens=((DISLIKE,), (LIKE,)))


@dataclass(frozen=True, eq=False, slots=True)
class Text:
    """Hold how a model reads and answers: vocabulary, answer tokens, and the tokenizer to save beside its weights."""

    vocabulary: Vocabulary
    answers: Answers
    tokenizer: Any = None


def new_parts(dataset: Dataset, recipe: Recipe, *, seed: int) -> tuple[PreTrainedModel, Text]:
    """Load the backbone that a recipe names, or make a small one whose vocabulary is trained on a dataset's texts.

    Parameters
    ----------
    dataset : Dataset
        Its catalog and users are the texts.
    recipe : Recipe
        Backbone, layout and answer words.
    seed : int
        Of random weights.

    Raises
    ------
    ModelError
        If the backbone cannot be loaded, or its tokenizer does not tell the answers apart.
    """
    if isinstance(recipe.backbone, PretrainedBackbone):
        loaded = load_backbone(recipe.backbone, tune=recipe.tuning, device=_device())
        return loaded.causal, _text_of(loaded, recipe)
    vocabulary = Vocabulary.train(_texts(dataset, recipe), size=recipe.backbone.vocabulary)
    causal = build_nano(recipe.backbone, vocabulary=max(len(vocabulary), len(SPECIAL)), seed=seed)
    return causal, Text(vocabulary, _answers(vocabulary, recipe), _own_tokenizer(vocabulary))


def make_channel(vectors: ItemVectors, recipe: Recipe) -> ItemChannel | None:
    """Make the item channel of a recipe whose layout shows soft tokens, with random weights."""
    if isinstance(recipe.layout, BlockSettings) or not isinstance(recipe.backbone, NanoShape):
        return None
    return ItemChannel(
        torch.from_numpy(vectors.static),
        collaborative=vectors.collaborative,
        width=recipe.backbone.width,
        settings=recipe.channel,
    )


def join_model(causal: PreTrainedModel, text: Text, channel: ItemChannel | None) -> LanguageModel:
    """Put a backbone, its answers and its item channel together.

    Raises
    ------
    ModelError
        If the backbone cannot show prompt trees.
    """
    return LanguageModel(causal, answers=text.answers.tokens, channel=channel)


def save_text(causal: PreTrainedModel, text: Text, recipe: Recipe, folder: Path) -> None:
    """Write what tuning changed of a backbone, with its tokenizer; nothing of one that stayed as it was."""
    if isinstance(recipe.backbone, NanoShape) or recipe.tuning.method != "none":
        save_backbone(causal, text.tokenizer, folder)


def load_text(folder: Path, recipe: Recipe) -> tuple[PreTrainedModel, Text]:
    """Read back what `save_text` wrote.

    Raises
    ------
    ModelError
        If the backbone cannot be loaded.
    RunNotFound
        If the tokenizer is missing.
    OSError, ValueError
        If the files are damaged or missing.
    """
    if isinstance(recipe.backbone, NanoShape):
        vocabulary = Vocabulary.load(folder / "tokenizer.json")
        causal = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return causal, Text(vocabulary, _answers(vocabulary, recipe), _own_tokenizer(vocabulary))
    tuned = recipe.tuning.method != "none"
    settings = recipe.backbone.model_copy(update={"name": str(folder), "revision": "main"})
    loaded = load_backbone(settings if tuned else recipe.backbone, device=_device())
    return loaded.causal, _text_of(loaded, recipe)


def make_encoder(recipe: Recipe, *, causal: PreTrainedModel, text: Text) -> ItemEncoder | None:
    """Make what turns item texts into vectors, unless it is the encoder built in.

    Raises
    ------
    ModelError
        If a sentence encoder cannot be loaded.
    """
    source = recipe.vectors.text
    if source == _NGRAMS:
        return None
    if source == _BACKBONE:
        return PooledEncoder.of_language_model(causal, text.tokenizer, reduces=recipe.vectors.reduce)
    return PooledEncoder.load(source, reduces=recipe.vectors.reduce)


def restore_encoder(
    arrays: dict[str, np.ndarray], genres: tuple[str, ...], recipe: Recipe, *, causal: PreTrainedModel, text: Text
) -> ItemEncoder:
    """Make the encoder of a saved run from its arrays.

    Raises
    ------
    ModelError
        If a sentence encoder cannot be loaded.
    """
    encoder = make_encoder(recipe, causal=causal, text=text)
    if isinstance(encoder, PooledEncoder):
        return encoder.restored(arrays)
    return TextEncoder(arrays["frequency"], arrays["components"], genres)


def _device() -> torch.device:
    """Return where large models compute: the first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _text_of(loaded: LoadedBackbone, recipe: Recipe) -> Text:
    return Text(loaded.vocabulary, _answers(loaded.vocabulary, recipe), loaded.tokenizer)


def _answers(vocabulary: Vocabulary, recipe: Recipe) -> Answers:
    if isinstance(recipe.layout, BlockSettings):
        return Answers.in_context(vocabulary, recipe.answers, marker=MARKER)
    return _STREAM_ANSWERS


def _own_tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=vocabulary.tokenizer)


def _texts(dataset: Dataset, recipe: Recipe) -> list[str]:
    """List what a vocabulary of the catalog must be able to write shortly."""
    values = [f"{name} {value}" for name, column in dataset.users.attributes.items() for value in sorted(set(column))]
    genres = sorted({genre for row in dataset.catalog.genres for genre in row})
    words = sentences(recipe.layout, recipe.answers) if isinstance(recipe.layout, BlockSettings) else []
    return [*dataset.catalog.titles, *genres, *values, *words]
