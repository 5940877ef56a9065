"""The item vectors of a run: fitted once on the tuning part, then read for any catalog.

It decides that items are matched by their id in the source, since codes belong to one dataset: a catalog that grew, or
was imported anew, finds its vectors again; an item that the run never saw gets its text columns from the stored
encoder and zeros for the collaborative ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from recollect.context.vectors import ItemEncoder, TextEncoder, VectorSettings, collaborative_vectors
from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset

UNSEEN = -1


@dataclass(frozen=True, eq=False, slots=True)
class ItemVectors:
    """Hold static vectors of I items.

    Parameters
    ----------
    ids : tuple of str
        Ids of the items in the source.
    static : Float32[I, K]
        Text columns first, then the collaborative ones.
    collaborative : int
        How many of the last columns are collaborative.
    encoder : ItemEncoder
        Encodes items that come later.
    """

    ids: tuple[str, ...]
    static: Float32[np.ndarray, "I K"]
    collaborative: int
    encoder: ItemEncoder

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        rows: Int64[np.ndarray, " N"],
        settings: VectorSettings,
        *,
        seed: int = 0,
        encoder: ItemEncoder | None = None,
    ) -> ItemVectors:
        """Fit text vectors on the catalog and collaborative vectors on the given rows of the log.

        Parameters
        ----------
        dataset : Dataset
            Catalog and log.
        rows : Int64[N]
            Rows of the tuning part.
        settings : VectorSettings
            Widths.
        seed : int
            Of the reductions.
        encoder : ItemEncoder, optional
            What reads the texts, to be fitted to the catalog; the encoder built in if None.
        """
        fit = TextEncoder.fit if encoder is None else encoder.fitted
        fitted = fit(dataset.catalog, width=settings.text_width, seed=seed)
        together = collaborative_vectors(dataset.log, rows, width=settings.collaborative_width, seed=seed)
        static = np.concatenate([fitted.encode(dataset.catalog), together], axis=1)
        return cls(dataset.catalog.ids, static, together.shape[1], fitted)

    def places(self, catalog: Catalog) -> Int64[np.ndarray, " I"]:
        """Return where each item of a catalog stands here, `UNSEEN` for new ones."""
        place = {identity: number for number, identity in enumerate(self.ids)}
        return np.array([place.get(identity, UNSEEN) for identity in catalog.ids], np.int64)

    def extended(self, catalog: Catalog) -> ItemVectors:
        """Return the vectors of a catalog in its own order."""
        if catalog.ids == self.ids:
            return self
        places = self.places(catalog)
        seen = places != UNSEEN
        static = np.zeros((len(catalog), self.static.shape[1]), np.float32)
        static[seen] = self.static[places[seen]]
        if not seen.all():
            text = self.encoder.encode(catalog)
            static[~seen, : text.shape[1]] = text[~seen]
        return ItemVectors(catalog.ids, static, self.collaborative, self.encoder)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything but names as arrays, for a file."""
        return {"static": self.static, **self.encoder.arrays()}
