"""A tuned model and its run folder: everything needed to answer, and nothing of the log.

    RUN/run.json               format version, what it was tuned on, how the loss went, calibration
    RUN/recipe.toml            the resolved recipe
    RUN/model/                 what tuning changed: an ordinary `transformers` folder, or an adapter of `peft`
    RUN/vectors.safetensors    item vectors, text encoder, weights of the item channel
    RUN/items.json             ids of the items that the vectors belong to
    RUN/few_shot.npz           the rows it learned from, where the recipe draws a few

It decides that a folder is written aside and renamed, that a format of another version is refused, and that the digest
of a model is the SHA-256 of the names and bytes of all its weights. Nothing is copied of a model that was not tuned:
the recipe names it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from transformers.utils import logging

from recollect.context.item_vectors import UNSEEN, ItemVectors
from recollect.data.aside import written_aside
from recollect.data.catalog import Catalog
from recollect.data.few_shot import FewShot, save_few_shot
from recollect.errors import ModelError, RecollectError, RunNotFound, RunVersion, UsageError, translate
from recollect.model.item_channel import ItemChannel
from recollect.model.language_model import LanguageModel
from recollect.model.settings import NanoShape
from recollect.prompt.answers import Answers
from recollect.prompt.vocabulary import Vocabulary
from recollect.recipe import Recipe, dump_recipe, load_recipe
from recollect.run.calibration import AS_SCORED, Calibration
from recollect.run.parts import Text, join_model, load_text, make_channel, restore_encoder, save_text

RUN_VERSION: Final = 2
_CARD: Final = "run.json"
_VECTORS: Final = "vectors.safetensors"
_FILES: Final = ("recipe.toml", "items.json", _VECTORS)
_MODEL_FILES: Final = ("model/config.json", "model/model.safetensors", "model/tokenizer.json")
_ADAPTER_FILES: Final = ("model/adapter_config.json", "model/adapter_model.safetensors")

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
    text : Text
        Vocabulary and answers.
    vectors : ItemVectors
        Of the catalog that the model is set to.
    prior : float
        Like share of the tuning part, given to unknown items.
    card : dict
        Facts of the tuning, as written to `run.json`.
    calibration : Calibration
        From scores to probabilities.
    """

    recipe: Recipe
    language_model: LanguageModel
    text: Text
    vectors: ItemVectors
    prior: float
    card: dict[str, Any] = field(default_factory=dict[str, Any])
    calibration: Calibration = AS_SCORED

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer."""
        return self.text.vocabulary

    @property
    def answers(self) -> Answers:
        """Tokens of the answers, dislike first."""
        return self.text.answers

    def digest(self) -> str:
        """Return the SHA-256 of all weights, as hexadecimal text."""
        return digest_of(self.language_model)

    def save(self, folder: Path, *, drawn: FewShot | None = None) -> None:
        """Write the run folder: aside first, then renamed into place.

        Parameters
        ----------
        folder : Path
            Where it shall stand.
        drawn : FewShot, optional
            The rows that it learned from, to be read back by `load_few_shot`.

        Raises
        ------
        UsageError
            If something that is no run stands in that place.
        DiskFull, SystemFailure
            If it cannot be written; nothing half-written stays.
        """
        with written_aside(folder, card=_CARD) as aside:
            save_text(self.language_model.causal, self.text, self.recipe, aside / "model")
            channel = self.language_model.channel
            state = {} if channel is None else channel.state_dict()
            weights = {f"channel.{name}": weight.cpu().contiguous() for name, weight in state.items()}
            arrays = {name: torch.from_numpy(array).contiguous() for name, array in self.vectors.arrays().items()}
            safetensors.torch.save_file({**weights, **arrays}, aside / _VECTORS)
            names = {"ids": self.vectors.ids, "genres": getattr(self.vectors.encoder, "genres", ())}
            (aside / "items.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
            if drawn is not None:
                save_few_shot(drawn, aside)
            (aside / "recipe.toml").write_text(dump_recipe(self.recipe), encoding="utf-8")
            card = {
                "version": RUN_VERSION,
                "prior": self.prior,
                "digest": self.digest(),
                "calibration": asdict(self.calibration),
                **self.card,
            }
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
        _require_files(folder, _FILES)
        return cls._read(folder, card)

    @classmethod
    def _read(cls, folder: Path, card: dict[str, Any]) -> TunedModel:
        try:
            recipe = load_recipe(str(folder / "recipe.toml"))
            _require_files(folder, _model_files(recipe))
            causal, text = load_text(folder / "model", recipe)
            names = json.loads((folder / "items.json").read_text(encoding="utf-8"))
            arrays = safetensors.numpy.load_file(folder / _VECTORS)
            encoder = restore_encoder(arrays, tuple(names["genres"]), recipe, causal=causal, text=text)
            width = arrays["static"].shape[1] - encoder.width
            vectors = ItemVectors(tuple(names["ids"]), arrays["static"], width, encoder)
            channel = make_channel(vectors, recipe)
            if channel is not None:
                weights = {n.removeprefix("channel."): torch.from_numpy(a) for n, a in arrays.items() if "." in n}
                channel.load_state_dict(weights)
            language_model = join_model(causal, text, channel).eval()
            calibration = Calibration(**card["calibration"])
            return cls(recipe, language_model, text, vectors, float(card["prior"]), card, calibration)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError, SafetensorError, UsageError) as error:
            raise _unreadable(folder, error) from error

    def fitted_to(self, catalog: Catalog) -> TunedModel:
        """Return the same model with its item tables in the order of a catalog; unseen items get what their text says.

        The backbone and all other weights are shared, not copied.
        """
        if catalog.ids == self.vectors.ids:
            return self
        vectors = self.vectors.extended(catalog)
        old = cast(ItemChannel | None, self.language_model.channel)
        if old is None:
            return replace(self, vectors=vectors)
        channel = make_channel(vectors, self.recipe)
        channel = _with_weights_of(cast(ItemChannel, channel), old, torch.from_numpy(self.vectors.places(catalog)))
        model = join_model(self.language_model.causal, self.text, channel)
        model.train(self.language_model.training)
        return replace(self, language_model=model, vectors=vectors)


def digest_of(module: torch.nn.Module) -> str:
    """Return the SHA-256 of the names and bytes of all weights of a module, as hexadecimal text."""
    sha = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        sha.update(name.encode())
        sha.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def _with_weights_of(channel: ItemChannel, old: ItemChannel, places: torch.Tensor) -> ItemChannel:
    """Give a channel the layers of another one, and the learned vectors of the items that both know."""
    channel.item, channel.answer = old.item, old.answer
    if channel.learned is not None and old.learned is not None:
        seen = places != UNSEEN
        with torch.no_grad():
            channel.learned.weight.zero_()
            channel.learned.weight[seen] = old.learned.weight[places[seen]]
    return channel


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


def _model_files(recipe: Recipe) -> tuple[str, ...]:
    """Name the files of what tuning changed; large models come in several, which their own card names."""
    if isinstance(recipe.backbone, NanoShape):
        return _MODEL_FILES
    return {"none": (), "lora": _ADAPTER_FILES, "full": _MODEL_FILES[:1]}[recipe.tuning.method]


def _require_files(folder: Path, names: tuple[str, ...]) -> None:
    """Check that a run folder is whole.

    Raises
    ------
    RunNotFound
        If a file is missing; the message names it.
    """
    for name in names:
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
