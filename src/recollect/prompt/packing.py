"""Packing: many prompt trees become one padded batch with a mask.

What it is: the step from values of the prompt room to arrays of few shapes that a model can run.

What it decides: several trees may share one row of the batch, each invisible to the others, each with its own
positions, so packing never changes an answer. Rows are filled best fit, longest tree first. Row lengths come in
buckets (eight per octave), so that few shapes occur. A padding token sees itself, so no softmax is ever empty.

Dimension letters: B rows, T tokens per row, F features per token, S slots of all trees, N trees.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from recollect.errors import PromptError
from recollect.prompt.tree import NO_ITEM, PromptTree

__all__ = ["Packed", "bucket_length", "pack", "plan_batches"]

_SMALLEST_BUCKET = 16


@dataclass(frozen=True, eq=False, slots=True)
class Packed:
    """Hold a padded batch of prompt trees.

    Parameters
    ----------
    tokens, items, features, positions
        As in `PromptTree`, per row. Padding: token 0, no item, zeros, position 0.
    mask
        ``mask[b, q, k]``: in row b, token q sees token k.
    slots
        Row and token of each answer slot: trees in the order given, then slots in the order of each tree.
    slot_rows
        The caller's key of each slot.
    """

    tokens: Int32[np.ndarray, "B T"]
    items: Int32[np.ndarray, "B T"]
    features: Float32[np.ndarray, "B T F"]
    positions: Int32[np.ndarray, "B T"]
    mask: Bool[np.ndarray, "B T T"]
    slots: Int32[np.ndarray, "S 2"]
    slot_rows: Int64[np.ndarray, " S"]


def bucket_length(tokens: int) -> int:
    """Round a length up to the next of eight steps per octave, at least 16 tokens.

    Parameters
    ----------
    tokens
        Length to round.

    Examples
    --------
    >>> [bucket_length(n) for n in (1, 17, 100, 512, 513)]
    [16, 18, 104, 512, 576]
    """
    if tokens <= _SMALLEST_BUCKET:
        return _SMALLEST_BUCKET
    step = 1 << max((tokens - 1).bit_length() - 4, 1)
    return -(-tokens // step) * step


def pack(trees: Sequence[PromptTree], *, length: int | None = None, rows: int = 0) -> Packed:
    """Put trees into one padded batch.

    Parameters
    ----------
    trees
        At least one tree, all with the same number of features.
    length
        Tokens per row; the bucket of the longest tree if None.
    rows
        Least number of rows; empty ones are added at the end, so that a shape can be kept.

    Returns
    -------
    Packed
        The batch, its slots in the order of the trees given.

    Raises
    ------
    PromptError
        If there is no tree, one is longer than a row, or their features differ in number.
    """
    lengths = np.array([len(tree) for tree in trees], dtype=np.int64)
    widths = {tree.features.shape[1] for tree in trees}
    _check(lengths, widths, length)
    row_length = bucket_length(int(lengths.max())) if length is None else length
    places = _place(lengths, row_length)
    shape = (max(rows, 1 + max(row for row, _ in places)), row_length)
    packed = Packed(
        tokens=np.zeros(shape, np.int32),
        items=np.full(shape, NO_ITEM, np.int32),
        features=np.zeros((*shape, widths.pop()), np.float32),
        positions=np.zeros(shape, np.int32),
        mask=np.zeros((*shape, row_length), np.bool_),
        slots=_slots(trees, places),
        slot_rows=np.concatenate([tree.slot_rows for tree in trees]),
    )
    for tree, (row, start) in zip(trees, places, strict=True):
        span = slice(start, start + len(tree))
        packed.tokens[row, span] = tree.tokens
        packed.items[row, span] = tree.items
        packed.features[row, span] = tree.features
        packed.positions[row, span] = tree.positions
        tree.fill_mask(packed.mask[row, span, span])
    packed.mask.reshape(shape[0], -1)[:, :: row_length + 1] = True
    return packed


def plan_batches(lengths: Int64[np.ndarray, " N"], *, tokens: int) -> Iterator[Int64[np.ndarray, " n"]]:
    """Group trees of like length into batches of about the same number of tokens.

    Parameters
    ----------
    lengths
        Tokens of each tree.
    tokens
        Tokens of one batch, padding included; a single longer tree still makes a batch of its own.

    Yields
    ------
    Int64[n]
        Numbers of the trees of one batch; batches go from short trees to long ones.
    """
    order = np.argsort(lengths, kind="stable")
    padded = [bucket_length(int(n)) for n in lengths[order]]
    start = 0
    while start < len(padded):
        end = start + 1
        while end < len(padded) and padded[end] * (end + 1 - start) <= tokens:
            end += 1
        yield order[start:end]
        start = end


def _place(lengths: Int64[np.ndarray, " N"], row_length: int) -> list[tuple[int, int]]:
    """Choose row and first token of each tree: longest first, into the fullest row that still has room."""
    places = [(0, 0)] * lengths.shape[0]
    free: list[tuple[int, int]] = []  # (tokens left, row), ascending
    rows = 0
    for tree in np.argsort(-lengths, kind="stable").tolist():
        need = int(lengths[tree])
        found = bisect_left(free, (need, -1))
        if found < len(free):
            left, row = free.pop(found)
        else:
            left, row, rows = row_length, rows, rows + 1
        places[tree] = (row, row_length - left)
        insort(free, (left - need, row))
    return places


def _slots(trees: Sequence[PromptTree], places: Sequence[tuple[int, int]]) -> Int32[np.ndarray, "S 2"]:
    rows = np.repeat([row for row, _ in places], [tree.slots.shape[0] for tree in trees])
    tokens = np.concatenate([tree.slots + start for tree, (_, start) in zip(trees, places, strict=True)])
    return np.stack([rows, tokens], axis=1).astype(np.int32)


def _check(lengths: Int64[np.ndarray, " N"], widths: set[int], length: int | None) -> None:
    if lengths.size == 0 or len(widths) != 1:
        raise PromptError(
            what="these prompt trees cannot share a batch",
            got=f"{lengths.size} trees with {sorted(widths)} features per token",
            expected="at least one tree, and one number of features for all",
            do="pack trees of one layout together",
        )
    if length is not None and lengths.max() > length:
        raise PromptError(
            what="a prompt tree is longer than a row of the batch",
            got=f"{int(lengths.max())} tokens for rows of {length}",
            expected=f"at most {length} tokens",
            do="shorten the prompt by showing fewer events, or allow longer rows",
        )
