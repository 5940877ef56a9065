"""Item vectors from hidden states: what a language model or a sentence encoder makes of an item's description.

What it is: an `ItemEncoder` (`recollect.context.vectors`). Each item is described in a few words of our own, the last
hidden states of their tokens are averaged in float32, centred over the catalog and reduced by principal components, or
kept whole. Source: ReLLa's SUBR (spec `rella`, section 3), where retrieval takes the nearest items by these vectors.

What it decides: only tokens of the description count, not those that open or close a text; a sentence encoder keeps
them, since it was tuned to be read so. Nothing stands around the description, and an item's row is found by its id. One
scale for all columns, so that angles stay; the length of each vector is left to who compares them.

Dimension letters: I items, B texts of a batch, T tokens, D width of hidden states, W width of vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from sklearn.decomposition import PCA
from torch import Tensor
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from recollect.data.catalog import Catalog
from recollect.errors import ModelError
from recollect.model.backbone import load_tokenizer
from recollect.model.check import evaluating
from recollect.model.load_failures import loading
from recollect.progress import SILENT, Progress
from recollect.prompt.packing import plan_batches

__all__ = ["PooledEncoder", "describe"]

_LONGEST: Final = 256  # tokens of a description; longer ones are cut
_BATCH_TOKENS: Final = 4096
_SMALL: Final = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class PooledEncoder:
    """Average the hidden states of descriptions; make one with `of_language_model` or `load`.

    Parameters
    ----------
    model
        Gives hidden states for token ids and a mask.
    tokenizer
        The model's own.
    pools_special
        Whether tokens that the tokenizer writes around a text count too.
    reduces
        Whether fitting reduces the hidden states to their strongest directions.
    mean
        Of the hidden states over a catalog; None before it was fitted.
    components
        Principal directions, with one common scale, or that scale alone, once per column, where nothing is reduced;
        None before it was fitted.
    progress
        Is told how many items are encoded.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pools_special: bool = False
    reduces: bool = True
    mean: Float32[np.ndarray, " D"] | None = None
    components: Float32[np.ndarray, "*W D"] | None = None
    progress: Progress = SILENT
    _known: tuple[Catalog, Float32[np.ndarray, "I W"]] | None = field(default=None, repr=False)

    @classmethod
    def of_language_model(
        cls,
        causal: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        reduces: bool = True,
        progress: Progress = SILENT,
    ) -> PooledEncoder:
        """Read descriptions with a causal language model, which may also be the one that answers.

        Parameters
        ----------
        causal
            The model; its output layer is not used.
        tokenizer
            Its own.
        reduces
            Whether fitting reduces the hidden states to their strongest directions.
        progress
            Is told how many items are encoded.
        """
        return cls(cast(PreTrainedModel, causal.base_model), tokenizer, reduces=reduces, progress=progress)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str = "main",
        device: torch.device | None = None,
        reduces: bool = True,
        progress: Progress = SILENT,
    ) -> PooledEncoder:
        """Load a sentence encoder, or the body of any other model.

        Parameters
        ----------
        name
            Folder, or name on the model hub.
        revision
            Branch, tag or commit on the model hub.
        device
            Where its weights shall be; the CPU if None.
        reduces
            Whether fitting reduces the hidden states to their strongest directions.
        progress
            Is told how many items are encoded.

        Raises
        ------
        ModelError
            If there is no such model, it cannot be reached, or it is no encoder or decoder alone.
        RecollectError
            If the system does not let us read it.
        """
        tokenizer = load_tokenizer(name, revision=revision)
        load = cast(Callable[..., PreTrainedModel], AutoModel.from_pretrained)
        with loading(name):
            model = load(name, revision=revision, dtype=torch.float32)
        if model.config.is_encoder_decoder:
            raise ModelError(
                "a model that translates texts, not one that describes them",
                got=f"{type(model).__name__} of {name}",
                expected="an encoder or a decoder alone",
                do="set vectors.text to a sentence encoder, or to backbone or ngrams",
            )
        model = cast(Any, model).to(device or torch.device("cpu")).eval()
        return cls(model, tokenizer, pools_special=True, reduces=reduces, progress=progress)

    @property
    def width(self) -> int:
        """Columns of an encoded item."""
        return _hidden_width(self.model) if self.components is None else len(self.components)

    def fitted(self, catalog: Catalog, *, width: int, seed: int) -> PooledEncoder:
        """Return the same encoder, centred on a catalog and, if it reduces, reduced to its strongest directions.

        Parameters
        ----------
        catalog
            I items.
        width
            W, cut to what the catalog and the model support; all D columns are kept where nothing is reduced.
        seed
            Of the search for directions, where it is random.
        """
        pooled = self._pool(catalog)
        mean = pooled.mean(0, dtype=np.float64)
        components = _directions(pooled - mean, width, seed=seed) if self.reduces else _whole(pooled - mean)
        fitted = {"mean": mean.astype(np.float32), "components": components.astype(np.float32)}
        return replace(self, **fitted, _known=(catalog, _reduced(pooled, **fitted)))

    def restored(self, arrays: dict[str, np.ndarray]) -> PooledEncoder:
        """Return the same encoder with what an earlier one was fitted to.

        Parameters
        ----------
        arrays
            What `arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        """
        return replace(self, mean=arrays["mean"], components=arrays["components"], _known=None)

    def encode(self, catalog: Catalog) -> Float32[np.ndarray, "I W"]:
        """Encode every item of a catalog; the one just fitted to is not read twice."""
        if self._known is not None and self._known[0] is catalog:
            return self._known[1]
        pooled = self._pool(catalog)
        if self.mean is None or self.components is None:
            return pooled
        return _reduced(pooled, self.mean, self.components)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return mean and components, for a file; the model is not among them."""
        if self.mean is None or self.components is None:
            return {}
        return {"mean": self.mean, "components": self.components}

    def _pool(self, catalog: Catalog) -> Float32[np.ndarray, "I D"]:
        """Average the hidden states of every item."""
        ids, counted = self._tokens(describe(catalog))
        lengths = np.array([len(one) for one in ids], np.int64)
        pooled = np.zeros((len(catalog), _hidden_width(self.model)), np.float32)
        self.progress.start("item vectors", len(catalog))
        done = 0
        for batch in plan_batches(lengths, tokens=_BATCH_TOKENS):
            pooled[batch] = self._pool_batch([ids[item] for item in batch], [counted[item] for item in batch])
            done += len(batch)
            self.progress.advance(done)
        self.progress.finish()
        return pooled

    def _tokens(self, texts: list[str]) -> tuple[list[list[int]], list[list[bool]]]:
        """Return the token ids of each text, and which of them count."""
        if not texts:
            return [], []
        found = cast(Any, self.tokenizer)(
            texts,
            truncation=True,
            max_length=min(_LONGEST, _positions(self.model)),
            return_special_tokens_mask=True,
            split_special_tokens=True,  # in a title they are text
        )
        special: list[list[int]] = found["special_tokens_mask"]
        return found["input_ids"], [[self.pools_special or not one for one in row] for row in special]

    def _pool_batch(self, ids: list[list[int]], counted: list[list[bool]]) -> Float32[np.ndarray, "B D"]:
        """Average the hidden states of some texts, padded on the right."""
        padding = self.tokenizer.pad_token_id
        shape = (len(ids), max(map(len, ids)))
        tokens = torch.full(shape, 0 if padding is None else cast(int, padding))
        seen, counts = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
        for row, (one, mask) in enumerate(zip(ids, counted, strict=True)):
            tokens[row, : len(one)] = torch.tensor(one)
            seen[row, : len(one)] = True
            counts[row, : len(one)] = torch.tensor(mask)
        device = self.model.device
        with torch.inference_mode(), evaluating(self.model):
            output: Any = self.model(input_ids=tokens.to(device), attention_mask=seen.long().to(device))
        return _averaged(output.last_hidden_state, counts.to(device)).cpu().numpy()


def describe(catalog: Catalog) -> list[str]:
    """Say in a few words what each item is: title, year, kinds.

    Parameters
    ----------
    catalog
        I items.

    Examples
    --------
    >>> describe(Catalog(("7",), ("Alien (1979)",), (("Horror", "Sci-Fi"),), np.array([1979], np.int16)))
    ['Alien (1979). Kinds: Horror, Sci-Fi.']
    """
    return [
        _described(title, genres, int(year))
        for title, genres, year in zip(catalog.titles, catalog.genres, catalog.years, strict=True)
    ]


def _described(title: str, genres: tuple[str, ...], year: int) -> str:
    year_of = f" Year: {year}." if year > 0 and str(year) not in title else ""
    return f"{title}.{year_of}" + (f" Kinds: {', '.join(genres)}." if genres else "")


def _directions(centred: Float64[np.ndarray, "I D"], width: int, *, seed: int) -> Float64[np.ndarray, "W D"]:
    """Return the strongest directions, scaled so that entries have unit deviation."""
    items, columns = centred.shape
    rank = max(0, min(width, items - 1, columns))
    if rank == 0:
        return np.zeros((0, columns))
    found = cast(Any, PCA(rank, random_state=seed).fit(centred)).components_
    return found / (np.std(centred @ found.T) + _SMALL)


def _whole(centred: Float64[np.ndarray, "I D"]) -> Float64[np.ndarray, " D"]:
    """Return for every column the one scale that gives entries unit deviation."""
    return np.ones(centred.shape[1]) / (np.std(centred) + _SMALL)


def _reduced(
    pooled: Float32[np.ndarray, "I D"], mean: Float32[np.ndarray, " D"], components: Float32[np.ndarray, "*W D"]
) -> Float32[np.ndarray, "I K"]:
    centred = pooled - mean
    return centred * components if components.ndim == 1 else centred @ components.T


def _averaged(states: Float[Tensor, "B T D"], counted: Bool[Tensor, "B T"]) -> Float32[Tensor, "B D"]:
    """Average the states that count; zeros if none does."""
    weight = counted.float()[..., None]
    return (states.float() * weight).sum(1) / weight.sum(1).clamp(min=1)


def _hidden_width(model: PreTrainedModel) -> int:
    return cast(int, model.config.get_text_config().hidden_size)


def _positions(model: PreTrainedModel) -> int:
    """Return how many tokens a model can read; two are kept for families that begin to count at two."""
    return cast(int, getattr(model.config.get_text_config(), "max_position_embeddings", None) or _LONGEST + 2) - 2
