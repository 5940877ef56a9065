"""A tuned model and its run folder: everything needed to answer, and nothing of the log.

    RUN/run.json               format version, what it was tuned on, how the loss went
    RUN/recipe.toml            the resolved recipe
    RUN/model/                 an ordinary `transformers` folder: config, safetensors, tokenizer
    RUN/channel.safetensors    weights of the item channel, item vectors, text encoder
    RUN/items.json             ids of the items that the vectors belong to

It decides that a folder is written aside and renamed, that a format of another version is refused, and that the digest
of a model is the SHA-256 of the names and bytes of all its weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from recollect.context.item_vectors import UNSEEN, ItemVectors
from recollect.context.vectors import TextEncoder
from recollect.data.aside import written_aside
from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset
from recollect.errors import ModelError, RecollectError, RunNotFound, RunVersion, UsageError, translate
from recollect.model.item_channel import ItemChannel
from recollect.model.language_model import LanguageModel
from recollect.model.nano import build_nano
from recollect.prompt.vocabulary import DISLIKE, LIKE, SPECIAL, Vocabulary
from recollect.recipe import Recipe, dump_recipe, load_recipe

RUN_VERSION: Final = 1
_CARD: Final = "run.json"
_FILES: Final = (
    "recipe.toml", "items.json", "channel.safetensors",
    "model/config.json", "model/model.safetensors", "model/tokenizer.json",
)  # fmt: skip

logging.disable_progress_bar()  # reading and writing a small model is no news


@dataclass(frozen=True, eq=False, slots=True)
class TunedModel:
    """Hold a language model with all that its prompts are made of.

    Parameters
    ----------
    recipe : Recipe
        The resolved recipe.
    language_model : LanguageModel
        Backbone and item channel.
    vocabulary : Vocabulary
        The tokenizer.
    vectors : ItemVectors
        Of the catalog that the model is set to.
    prior : float
        Like share of the tuning part, given to unknown items.
    card : dict
        Facts of the tuning, as written to `run.json`.
    """

    recipe: Recipe
    language_model: LanguageModel
    vocabulary: Vocabulary
    vectors: ItemVectors
    prior: float
    card: dict[str, Any] = field(default_factory=dict[str, Any])

    def digest(self) -> str:
        """Return the SHA-256 of all weights, as hexadecimal text."""
        sha = hashlib.sha256()
        for name, weight in sorted(self.language_model.state_dict().items()):
            sha.update(name.encode())
            sha.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return sha.hexdigest()

    def save(self, folder: Path) -> None:
        """Write the run folder: aside first, then renamed into place.

        Raises
        ------
        UsageError
            If something that is no run stands in that place.
        DiskFull, SystemFailure
            If it cannot be written; nothing half-written stays.
        """
        with written_aside(folder, card=_CARD) as aside:
            self.language_model.causal.save_pretrained(aside / "model")
            PreTrainedTokenizerFast(tokenizer_object=self.vocabulary.tokenizer).save_pretrained(aside / "model")
            channel = cast(ItemChannel, self.language_model.channel)
            weights = {f"channel.{name}": weight.contiguous() for name, weight in channel.state_dict().items()}
            arrays = {name: torch.from_numpy(array).contiguous() for name, array in self.vectors.arrays().items()}
            safetensors.torch.save_file({**weights, **arrays}, aside / "channel.safetensors")
            names = {"ids": self.vectors.ids, "genres": self.vectors.encoder.genres}
            (aside / "items.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
            (aside / "recipe.toml").write_text(dump_recipe(self.recipe), encoding="utf-8")
            card = {"version": RUN_VERSION, "prior": self.prior, "digest": self.digest(), **self.card}
            (aside / _CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TunedModel:
        """Read a run folder.

        Raises
        ------
        RunNotFound
            If the folder or a file of it is missing.
        RunVersion
            If another version of recollect wrote it.
        ModelError
            If a file is damaged.
        """
        card = read_card(folder)
        _require_files(folder)
        return cls._read(folder, card)

    @classmethod
    def _read(cls, folder: Path, card: dict[str, Any]) -> TunedModel:
        try:
            recipe = load_recipe(str(folder / "recipe.toml"))
            vocabulary = Vocabulary.load(folder / "model" / "tokenizer.json")
            names = json.loads((folder / "items.json").read_text(encoding="utf-8"))
            arrays = safetensors.numpy.load_file(folder / "channel.safetensors")
            encoder = TextEncoder(arrays["frequency"], arrays["components"], tuple(names["genres"]))
            width = arrays["static"].shape[1] - encoder.width
            vectors = ItemVectors(tuple(names["ids"]), arrays["static"], width, encoder)
            causal = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
            channel = _channel(vectors, recipe)
            weights = {name.removeprefix("channel."): torch.from_numpy(a) for name, a in arrays.items() if "." in name}
            channel.load_state_dict(weights)
            language_model = LanguageModel(causal, answers=(DISLIKE, LIKE), channel=channel).eval()
            return cls(recipe, language_model, vocabulary, vectors, float(card["prior"]), card)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError, SafetensorError, UsageError) as error:
            raise _unreadable(folder, error) from error

    def fitted_to(self, catalog: Catalog) -> TunedModel:
        """Return the same model with its item tables in the order of a catalog; unseen items get what their text says.

        The backbone and all other weights are shared, not copied.
        """
        if catalog.ids == self.vectors.ids:
            return self
        places = torch.from_numpy(self.vectors.places(catalog))
        vectors = self.vectors.extended(catalog)
        old = cast(ItemChannel, self.language_model.channel)
        channel = _channel(vectors, self.recipe)
        channel.item, channel.answer = old.item, old.answer
        if channel.learned is not None and old.learned is not None:
            seen = places != UNSEEN
            with torch.no_grad():
                channel.learned.weight.zero_()
                channel.learned.weight[seen] = old.learned.weight[places[seen]]
        model = LanguageModel(self.language_model.causal, answers=(DISLIKE, LIKE), channel=channel)
        model.train(self.language_model.training)
        return TunedModel(self.recipe, model, self.vocabulary, vectors, self.prior, self.card)


def new_model(dataset: Dataset, recipe: Recipe, *, vectors: ItemVectors, prior: float, seed: int) -> TunedModel:
    """Make an untuned model for a dataset: tokenizer trained on its texts, backbone with random weights.

    Parameters
    ----------
    dataset : Dataset
        Its catalog and users are the tokenizer's texts.
    recipe : Recipe
        Sizes.
    vectors : ItemVectors
        Of the dataset's catalog.
    prior : float
        Like share of the tuning part.
    seed : int
        Of all weights.
    """
    values = [f"{name} {value}" for name, column in dataset.users.attributes.items() for value in sorted(set(column))]
    genres = sorted({genre for row in dataset.catalog.genres for genre in row})
    vocabulary = Vocabulary.train([*dataset.catalog.titles, *genres, *values], size=recipe.backbone.vocabulary)
    causal = build_nano(recipe.backbone, vocabulary=max(len(vocabulary), len(SPECIAL)), seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        channel = _channel(vectors, recipe)
    return TunedModel(
        recipe, LanguageModel(causal, answers=(DISLIKE, LIKE), channel=channel), vocabulary, vectors, prior
    )


def read_card(folder: Path) -> dict[str, Any]:
    """Read `run.json` and check its version.

    Raises
    ------
    RunNotFound
        If there is none.
    RunVersion
        If another version wrote it.
    """
    file = folder / _CARD
    if not file.is_file():
        raise RunNotFound(
            "no run in that folder", got=folder, expected=f"a folder with {_CARD}", do="run recollect tune"
        )
    try:
        card = cast(dict[str, Any], json.loads(file.read_text(encoding="utf-8")))
        version = card["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunNotFound(
            "a run card that cannot be read", got=file, expected="JSON with a version", do="tune again"
        ) from error
    if version != RUN_VERSION:
        raise RunVersion(
            "a run of another format", got=f"version {version}", expected=f"version {RUN_VERSION}", do="tune it again"
        )
    return card


def _require_files(folder: Path) -> None:
    """Check that a run folder is whole.

    Raises
    ------
    RunNotFound
        If a file is missing; the message names it.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise RunNotFound(
                "a run folder that lacks a file", got=folder / name, expected="a whole run", do="tune again"
            )


def _unreadable(folder: Path, error: Exception) -> RecollectError:
    if isinstance(error, OSError) and error.errno is not None:  # the system's word: rights, devices
        known = translate(error)
        if known is not None:
            return known
    return ModelError(f"the run in {folder} cannot be read", got=error, expected="files as written", do="tune again")


def _channel(vectors: ItemVectors, recipe: Recipe) -> ItemChannel:
    return ItemChannel(
        torch.from_numpy(vectors.static),
        collaborative=vectors.collaborative,
        width=recipe.backbone.width,
        settings=recipe.channel,
    )
