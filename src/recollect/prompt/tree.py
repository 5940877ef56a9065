"""The prompt tree: everything a model is shown, as token segments and a relation of who sees whom.

What it is: one immutable value between the prompt room and the model room. A *segment* is a run of tokens that always
travel together. *Shared* segments (a trunk, a demonstration, one event of a stream) come first and may be seen by
others; the rest are *leaves* (one per candidate, say) that nobody else sees. *Answer slots* are token positions where
the probability of each answer is read.

What it decides: visibility is a stored relation, ``sees``, and positions are stored per token. A trunk with branches,
mutually invisible demonstrations and a stream whose events of one instant do not see each other are then values of one
type, not cases in the mask code. Inside its own segment a token sees the earlier tokens and itself, always.

Dimension letters: T tokens, G segments, S shared segments, F features per token, A answer slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from recollect.errors import PromptError

__all__ = ["NO_ITEM", "PromptTree", "Segment", "join_segments"]

NO_ITEM = -1
"""What ``items`` holds where a token stands for no item."""

_EXPECTED = {  # dtype and axes of each array
    "tokens": (np.dtype(np.int32), "T"),
    "items": (np.dtype(np.int32), "T"),
    "features": (np.dtype(np.float32), "TF"),
    "segment": (np.dtype(np.int32), "T"),
    "positions": (np.dtype(np.int32), "T"),
    "sees": (np.dtype(np.bool_), "GS"),
    "slots": (np.dtype(np.int32), "A"),
    "slot_rows": (np.dtype(np.int64), "A"),
}
_LONG = 16  # segments above this length get their triangle as a block, shorter ones all together as index pairs


@dataclass(frozen=True, eq=False, slots=True)
class PromptTree:
    """Hold what a model is shown: tokens in segments, who sees whom, and where answers are read.

    Parameters
    ----------
    tokens
        Token ids, not negative. Where a soft token stands, the id of its placeholder.
    items
        Item code of a soft token, ``NO_ITEM`` elsewhere.
    features
        Numbers that travel with a soft token; zeros elsewhere.
    segment
        Segment of each token: starts at 0, grows by 0 or 1, ends at G - 1.
    positions
        Position of each token as the model counts them, from 0.
    sees
        ``sees[g, s]``: segment g sees all of shared segment s. A shared segment sees only earlier ones.
    slots
        Tokens where an answer is read.
    slot_rows
        The caller's key of each slot, such as a log row or a candidate number.

    Raises
    ------
    PromptError
        If lengths, dtypes or values contradict the rules above.

    Examples
    --------
    >>> tree = join_segments(
    ...     shared=[Segment(np.array([7, 8], np.int32), start=0)],
    ...     leaves=[Segment(np.array([t], np.int32), start=2, sees=(0,), slots=((0, t),)) for t in (5, 6)],
    ... )
    >>> tree.mask().astype(int)
    array([[1, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0],
           [1, 1, 0, 1]])
    """

    tokens: Int32[np.ndarray, " T"]
    items: Int32[np.ndarray, " T"]
    features: Float32[np.ndarray, "T F"]
    segment: Int32[np.ndarray, " T"]
    positions: Int32[np.ndarray, " T"]
    sees: Bool[np.ndarray, "G S"]
    slots: Int32[np.ndarray, " A"]
    slot_rows: Int64[np.ndarray, " A"]

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_segments(self)
        _check_values(self)

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @property
    def segment_count(self) -> int:
        """Number of segments G."""
        return self.sees.shape[0]

    @property
    def shared_count(self) -> int:
        """Number of shared segments S, the first of the G."""
        return self.sees.shape[1]

    def segment_lengths(self) -> Int64[np.ndarray, " G"]:
        """Count the tokens of each segment."""
        return np.bincount(self.segment, minlength=self.segment_count)

    def mask(self) -> Bool[np.ndarray, "T T"]:
        """Say for each token (row) which tokens (columns) it sees."""
        mask = np.zeros((len(self), len(self)), dtype=np.bool_)
        self.fill_mask(mask)
        return mask

    def fill_mask(self, mask: Bool[np.ndarray, "T T"]) -> None:
        """Write the mask into an array of zeros, such as a block of a larger mask.

        Whole rows are copied per segment, so the cost is that of writing the memory once.
        """
        lengths = self.segment_lengths()
        seen = np.repeat(self.sees, lengths[: self.shared_count], axis=1)
        mask[:, : seen.shape[1]] = seen[self.segment]
        starts = np.cumsum(lengths) - lengths
        for start, length in zip(starts[lengths > _LONG].tolist(), lengths[lengths > _LONG].tolist(), strict=True):
            mask[start : start + length, start : start + length] = np.tri(length, dtype=np.bool_)
        rows, columns = _own_pairs(starts[lengths <= _LONG], lengths[lengths <= _LONG])
        mask[rows, columns] = True


@dataclass(frozen=True, eq=False, slots=True)
class Segment:
    """Describe one segment for `join_segments`.

    Parameters
    ----------
    tokens
        Token ids of the segment, at least one.
    start
        Position of the first token; the others follow one by one.
    sees
        Numbers of the shared segments that this one sees.
    items, features
        As in `PromptTree`; None means no soft token here.
    slots
        Pairs (offset in the segment, caller's key).
    """

    tokens: Int32[np.ndarray, " T"]
    start: int
    sees: tuple[int, ...] = ()
    items: Int32[np.ndarray, " T"] | None = None
    features: Float32[np.ndarray, "T F"] | None = None
    slots: tuple[tuple[int, int], ...] = ()


def join_segments(shared: Sequence[Segment], leaves: Sequence[Segment] = ()) -> PromptTree:
    """Build a prompt tree from segments: the shared ones in order, then the leaves.

    Handy for small trees and tests; layouts that run per log row fill the arrays themselves.

    Raises
    ------
    PromptError
        If there is no segment, one has no tokens, or one sees a segment that is not shared or not earlier.
    """
    segments = [*shared, *leaves]
    lengths = [len(part.tokens) for part in segments]
    if not segments or min(lengths) == 0:
        raise PromptError(
            what="a prompt tree needs segments, each with at least one token",
            got=f"segments of {lengths} tokens",
            expected="one or more segments of one or more tokens",
            do="leave empty segments out",
        )
    width = max(0 if part.features is None else part.features.shape[1] for part in segments)
    slots = _slots_of(segments)
    return PromptTree(
        tokens=np.concatenate([part.tokens for part in segments]).astype(np.int32),
        items=np.concatenate([_items_of(part) for part in segments]),
        features=np.concatenate([_features_of(part, width) for part in segments]),
        segment=np.repeat(np.arange(len(segments), dtype=np.int32), lengths),
        positions=np.concatenate([np.arange(p.start, p.start + len(p.tokens), dtype=np.int32) for p in segments]),
        sees=_relation(segments, len(shared)),
        slots=slots[:, 0].astype(np.int32),
        slot_rows=slots[:, 1],
    )


def _slots_of(segments: Sequence[Segment]) -> Int64[np.ndarray, "A 2"]:
    """List token and caller's key of each slot."""
    found: list[tuple[int, int]] = []
    start = 0
    for part in segments:
        found += [(start + offset, row) for offset, row in part.slots]
        start += len(part.tokens)
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _items_of(part: Segment) -> Int32[np.ndarray, " T"]:
    return np.full(len(part.tokens), NO_ITEM, np.int32) if part.items is None else part.items.astype(np.int32)


def _features_of(part: Segment, width: int) -> Float32[np.ndarray, "T F"]:
    return np.zeros((len(part.tokens), width), np.float32) if part.features is None else part.features


def _relation(segments: Sequence[Segment], shared_count: int) -> Bool[np.ndarray, "G S"]:
    sees = np.zeros((len(segments), shared_count), dtype=np.bool_)
    for number, part in enumerate(segments):
        unknown = [seen for seen in part.sees if not 0 <= seen < shared_count]
        if unknown:
            raise PromptError(
                what=f"segment {number} sees a segment that is not shared",
                got=f"{unknown}",
                expected=f"numbers of shared segments, 0 to {shared_count - 1}",
                do="put every segment that others see among the shared ones, first",
            )
        sees[number, list(part.sees)] = True
    return sees


def _own_pairs(
    starts: Int64[np.ndarray, " G"], lengths: Int64[np.ndarray, " G"]
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """List the pairs (token, token of the same segment up to itself) of the given segments."""
    token = np.repeat(starts, lengths) + _count_up(lengths)
    seen = _count_up(lengths) + 1
    return np.repeat(token, seen), np.repeat(np.repeat(starts, lengths), seen) + _count_up(seen)


def _count_up(lengths: Int64[np.ndarray, " G"]) -> Int64[np.ndarray, " N"]:
    """Concatenate 0, 1, .. length - 1 for each length."""
    starts: Int64[np.ndarray, " G"] = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)


def _check_arrays(tree: PromptTree) -> None:
    """Check dtypes and lengths.

    Raises
    ------
    PromptError
        If one does not fit.
    """
    count, asked = len(tree), tree.slots.size
    lengths = {"T": count, "A": asked}
    for name, (dtype, axes) in _EXPECTED.items():
        array: np.ndarray = getattr(tree, name)
        fits = array.dtype == dtype and array.ndim == len(axes) and len(array) == lengths.get(axes[0], len(array))
        if not fits:
            raise PromptError(
                what=f"'{name}' of a prompt tree does not fit its tokens",
                got=f"{array.dtype} of shape {array.shape}",
                expected=f"{dtype} of {len(axes)} axes, with {count} tokens and {asked} slots",
                do="build every array over the same tokens, or use join_segments",
            )


def _check_segments(tree: PromptTree) -> None:
    """Check that segments are contiguous and that the relation respects their order.

    Raises
    ------
    PromptError
        If not.
    """
    numbers = tree.segment
    begins_and_ends = len(tree) > 0 and numbers[0] == 0 and numbers[-1] == tree.segment_count - 1
    if not begins_and_ends or ((numbers[1:] - numbers[:-1]) & ~1).any():  # a bit that neither 0 nor 1 has
        raise PromptError(
            what="segments of a prompt tree are not contiguous",
            got=f"segment numbers {np.unique(tree.segment)[:8].tolist()} over {len(tree)} tokens",
            expected=f"0 to {tree.segment_count - 1} in order, each with at least one token",
            do="number the segments in the order of their tokens and leave empty ones out",
        )
    shared = tree.shared_count
    among = tree.sees[:shared]
    if shared > tree.segment_count or (among.any() and np.triu(among).any()):
        raise PromptError(
            what="a shared segment sees itself or a later one",
            got=f"sees of shape {tree.sees.shape}, {int(np.triu(among).sum())} forbidden pairs",
            expected="shared segments that see only earlier shared segments",
            do="order the shared segments so that what is seen comes first",
        )


def _check_values(tree: PromptTree) -> None:
    """Check ranges of token ids, items, positions, slots and features.

    Raises
    ------
    PromptError
        If one is out of range.
    """
    count = len(tree)
    wrong = [
        name
        for name, good in (
            ("tokens", tree.tokens.min() >= 0),
            ("items", tree.items.min() >= NO_ITEM),
            ("positions", tree.positions.min() >= 0),
            ("slots", tree.slots.size == 0 or (tree.slots.min() >= 0 and tree.slots.max() < count)),
            ("features", bool(np.isfinite(tree.features).all())),
        )
        if not good
    ]
    if wrong:
        raise PromptError(
            what="a prompt tree holds values out of range",
            got=f"bad values in {', '.join(wrong)}",
            expected=f"ids and positions >= 0, items >= {NO_ITEM}, slots below {count}, finite features",
            do="correct the layout that made these arrays",
        )
