"""Item vectors: what a title says and what the log says, as numbers. No torch, no download.

- *text*: character n-grams of the title, hashed, weighted by inverse document frequency, reduced by a truncated SVD;
  beside them the genres and the year. An item that nobody has seen is encoded by the same stored matrices.
- *collaborative*: truncated SVD of the matrix of residuals (label less item and user mean) and of the matrix of who
  rated what, fitted on the tuning part alone. An unseen item gets zeros, and tuning hides these columns at random, so
  that zeros are nothing new to the model.

The text part may come from another `ItemEncoder` instead, such as the hidden states of a language model; the caller
hands it in, since this room knows no models.

It decides that all of this is fixed at tuning time: what moves afterwards is the person's context and the item's
causal statistics, never a weight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float32, Float64, Int64
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from recollect.data.catalog import Catalog
from recollect.data.log import EventLog

_BUCKETS: Final = 2**14
_GENRES: Final = 64  # the most frequent ones get a column
_YEAR_IN_TITLE: Final = re.compile(r"\s*\(\d{4}[^)]*\)\s*$")
_SHRINK: Final = 10.0  # pseudo-count that keeps rare items' collaborative vectors short


class VectorSettings(BaseModel):
    """Set where the text vectors come from, and the widths of the item vectors; 0 leaves a part out.

    `text` "ngrams" is the encoder built in, "backbone" pools the hidden states of the run's own language model, and
    anything else is the folder or name of a sentence encoder. Without `reduce` hidden states keep all their columns,
    whatever the `text_width`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(default="ngrams", min_length=1)
    text_width: int = Field(default=32, ge=0, le=512)
    reduce: bool = True
    collaborative_width: int = Field(default=32, ge=0, le=512)

    @model_validator(mode="after")
    def _fits(self) -> VectorSettings:
        if self.text == "ngrams" and not self.reduce:
            raise ValueError("n-grams are always reduced; set vectors.text to backbone or a sentence encoder")
        return self


class ItemEncoder(Protocol):
    """Turn the texts of items into vectors, in the same way for items known and new."""

    @property
    def width(self) -> int:
        """Columns of an encoded item."""
        ...

    def fitted(self, catalog: Catalog, *, width: int, seed: int) -> ItemEncoder:
        """Return an encoder of the same kind, fitted to a catalog and reduced to about the given width."""
        ...

    def encode(self, catalog: Catalog) -> Float32[np.ndarray, "I W"]:
        """Encode every item of a catalog."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was fitted, for a file."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class TextEncoder:
    """Turn titles, genres and years into vectors, in the same way for items known and new.

    Parameters
    ----------
    frequency : Float32[_BUCKETS]
        Inverse document frequency of each hashed n-gram.
    components : Float32[W, _BUCKETS]
        Right singular vectors, scaled so that entries have unit deviation over the catalog.
    genres : tuple of str
        Genres with a column of their own.
    """

    frequency: Float32[np.ndarray, " B"]
    components: Float32[np.ndarray, "W B"]
    genres: tuple[str, ...]

    @classmethod
    def fit(cls, catalog: Catalog, *, width: int, seed: int = 0) -> TextEncoder:
        """Learn n-gram weights and directions from a catalog.

        Parameters
        ----------
        catalog : Catalog
            I items.
        width : int
            W, cut to what the catalog supports.
        seed : int
            Of the randomised SVD.
        """
        counts = _count_ngrams(catalog.titles)
        weights = TfidfTransformer(sublinear_tf=True).fit(counts)
        names, frequency = np.unique([g for row in catalog.genres for g in row] or [""], return_counts=True)
        common = [str(names[k]) for k in np.argsort(-frequency, kind="stable")[:_GENRES] if names[k]]
        rank = min(width, len(catalog) - 1)
        components = np.zeros((0, _BUCKETS), np.float32)
        if rank > 0:
            weighted = cast(sparse.csr_matrix, weights.transform(counts))
            directions, _ = _truncated_svd(weighted, rank, rounds=5, seed=seed)
            reduced: np.ndarray = cast(Any, weighted) @ directions.T
            scale = float(np.std(reduced)) + 1e-9
            components = (directions / scale).astype(np.float32)
        return cls(cast(np.ndarray, weights.idf_).astype(np.float32), components, tuple(common))

    def fitted(self, catalog: Catalog, *, width: int, seed: int) -> TextEncoder:
        """Return an encoder of the same kind, fitted to a catalog."""
        return TextEncoder.fit(catalog, width=width, seed=seed)

    @property
    def width(self) -> int:
        """Columns of an encoded item."""
        return len(self.components) + len(self.genres) + 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was fitted, but the names of the genres, for a file."""
        return {"frequency": self.frequency, "components": self.components}

    def encode(self, catalog: Catalog) -> Float32[np.ndarray, "I W"]:
        """Encode every item of a catalog: title directions, genres, year."""
        counts = _count_ngrams(catalog.titles)
        weights = TfidfTransformer(sublinear_tf=True)
        weights.idf_ = self.frequency.astype(np.float64)
        text = np.asarray(weights.transform(counts) @ self.components.T, np.float32)
        column = {name: number for number, name in enumerate(self.genres)}
        genres = np.zeros((len(catalog), len(self.genres)), np.float32)
        for item, names in enumerate(catalog.genres):
            genres[item, [column[name] for name in names if name in column]] = 2
        year = np.where(catalog.years > 0, np.clip((catalog.years - 1985) / 15, -4, 4), 0)
        return np.concatenate([text, genres, year[:, None].astype(np.float32)], axis=1)


def collaborative_vectors(
    log: EventLog, rows: Int64[np.ndarray, " K"], *, width: int, seed: int = 0
) -> Float32[np.ndarray, "I W"]:
    """Reduce who liked what, and who rated what, to W columns each; zeros for items without an event in `rows`.

    Parameters
    ----------
    log : EventLog
        The log.
    rows : Int64[K]
        Rows of the tuning part, the only ones looked at.
    width : int
        Columns of each of the two matrices, cut to what the rows support.
    seed : int
        Of the randomised SVD.
    """
    user, item, label = log.user[rows], log.item[rows], log.label[rows].astype(np.float64)
    shape = (log.user_count, log.item_count)
    per_item, per_user = np.bincount(item, minlength=shape[1]), np.bincount(user, minlength=shape[0])
    prior = label.mean() if len(label) else 0.5
    residual = label - ((np.bincount(item, label, shape[1]) + 5 * prior) / (per_item + 5))[item]
    residual -= (np.bincount(user, residual, shape[0]) / (per_user + 5))[user]
    shrink = 1 / np.sqrt(per_item + _SHRINK)
    liked = sparse.csr_matrix((residual * shrink[item], (user, item)), shape)
    rated = sparse.csr_matrix((shrink[item] / np.sqrt(per_user[user]), (user, item)), shape)
    return np.concatenate([_item_side(matrix, width, seed=seed) for matrix in (liked, rated)], axis=1)


def _item_side(matrix: sparse.csr_matrix, width: int, *, seed: int) -> Float32[np.ndarray, "I W"]:
    """Return the item side of a truncated SVD, scaled to unit deviation, padded with zeros to the width."""
    users, items = cast(tuple[int, int], matrix.shape)
    rank = min(width, min(users, items) - 1)
    vectors = np.zeros((items, width), np.float32)
    if rank > 0 and matrix.nnz:
        directions, strengths = _truncated_svd(matrix, rank, rounds=7, seed=seed)
        found = directions.T * strengths
        vectors[:, :rank] = found / (np.std(found) + 1e-9)
    return vectors


def _truncated_svd(
    matrix: sparse.csr_matrix, rank: int, *, rounds: int, seed: int
) -> tuple[Float64[np.ndarray, "W M"], Float64[np.ndarray, " W"]]:
    """Return the strongest right singular vectors and their singular values."""
    reduction: Any = TruncatedSVD(rank, n_iter=rounds, random_state=seed).fit(matrix)
    return reduction.components_, reduction.singular_values_


def _count_ngrams(titles: tuple[str, ...]) -> sparse.csr_matrix:
    vectorizer: Any = HashingVectorizer  # its parameters are untyped, and norm may well be None
    counter = vectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=_BUCKETS, alternate_sign=False, norm=None, dtype=np.float64
    )
    return counter.transform(_YEAR_IN_TITLE.sub("", title) for title in titles)
