"""Give codes to ids while they stream by.

It decides that ids are numbered as they come, block by block, and put in the order of `catalog.in_id_order` once, at
the end: time is linear in the events, memory in the distinct ids.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Int32

from recollect.data.catalog import in_id_order


class Vocabulary:
    """Collect ids; codes are provisional until `settle`."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, ids: pl.Series) -> Int32[np.ndarray, "N"]:
        """Return the provisional codes of text ids, none of them null; new ids take the next codes."""
        distinct = ids.unique().to_list()
        codes = [self._codes.setdefault(identity, len(self._codes)) for identity in distinct]
        table = pl.DataFrame({"id": distinct, "code": codes}, schema={"id": pl.String, "code": pl.Int32})
        joined = ids.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")
        return joined["code"].to_numpy()

    def settle(self) -> tuple[tuple[str, ...], Int32[np.ndarray, "V"]]:
        """Return all ids in their final order, and the final code of each provisional one."""
        ids = tuple(in_id_order(self._codes))
        final = np.empty(len(ids), dtype=np.int32)
        for code, identity in enumerate(ids):
            final[self._codes[identity]] = code
        return ids, final
