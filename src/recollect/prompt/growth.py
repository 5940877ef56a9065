"""Growing and cutting prompt trees: append segments to a trunk, hang branches on it, keep its beginning.

What it is: the same three moves that a trunk cache makes with keys and values, made with the tree itself. What a cache
computes must equal the answer of the tree made here; tests hold the two together.

What it decides: results are ordinary trees, so nothing after them needs to know how they came about. None stands for a
trunk without tokens.

Dimension letters: T tokens, G segments, S shared segments, N new segments, C candidates, L tokens of a branch.
"""

import numpy as np
from jaxtyping import Bool, Float32

from recollect.errors import PromptError
from recollect.prompt.branches import Branches
from recollect.prompt.tree import PromptTree

__all__ = ["attach", "common_segments", "extend", "first_segments", "last_segments", "require_no_leaves"]


def extend(trunk: PromptTree | None, delta: PromptTree, *, sees: Bool[np.ndarray, "N S"] | None = None) -> PromptTree:
    """Append shared segments to a trunk.

    Parameters
    ----------
    trunk
        A tree without leaves.
    delta
        The new segments, without leaves; ``delta.sees`` says how they see each other.
    sees
        Which segments of the trunk each new one sees; None means all.

    Raises
    ------
    PromptError
        If either has leaves, or the arrays do not fit.
    """
    require_no_leaves(delta)
    if trunk is None:
        return delta
    require_no_leaves(trunk)
    _check_features(trunk.features, delta.features)
    before, new = trunk.segment_count, delta.segment_count
    relation = np.zeros((before + new, before + new), dtype=np.bool_)
    relation[:before, :before] = trunk.sees
    relation[before:, :before] = True if sees is None else sees
    relation[before:, before:] = delta.sees
    return PromptTree(
        tokens=np.concatenate([trunk.tokens, delta.tokens]),
        items=np.concatenate([trunk.items, delta.items]),
        features=np.concatenate([trunk.features, delta.features]),
        segment=np.concatenate([trunk.segment, delta.segment + np.int32(before)]),
        positions=np.concatenate([trunk.positions, delta.positions]),
        sees=relation,
        slots=np.concatenate([trunk.slots, delta.slots + np.int32(len(trunk))]),
        slot_rows=np.concatenate([trunk.slot_rows, delta.slot_rows]),
    )


def attach(trunk: PromptTree | None, branches: Branches, *, sees: Bool[np.ndarray, " S"] | None = None) -> PromptTree:
    """Hang branches on a trunk as leaves, padding included; only their slots remain, keyed 0 to C - 1.

    Parameters
    ----------
    trunk
        A tree without leaves.
    branches
        The candidates, at least one.
    sees
        Which segments of the trunk every branch sees; None means all.

    Raises
    ------
    PromptError
        If the trunk has leaves, or the arrays do not fit.
    """
    count, length = branches.tokens.shape
    before = 0 if trunk is None else trunk.segment_count
    tokens = 0 if trunk is None else len(trunk)
    relation = np.zeros((before + count, before), dtype=np.bool_)
    relation[before:] = True if sees is None else sees
    parts = [(branches.tokens, branches.items, branches.features, branches.positions)]
    segment = np.repeat(np.arange(before, before + count, dtype=np.int32), length)
    if trunk is not None:
        require_no_leaves(trunk)
        relation[:before] = trunk.sees
        segment = np.concatenate([trunk.segment, segment])
        parts.insert(0, (trunk.tokens, trunk.items, trunk.features, trunk.positions))
    _check_features(*(part[2] for part in parts))
    starts = np.arange(tokens, tokens + count * length, length, dtype=np.int32)
    return PromptTree(
        tokens=np.concatenate([part[0].reshape(-1) for part in parts]),
        items=np.concatenate([part[1].reshape(-1) for part in parts]),
        features=np.concatenate([part[2].reshape(part[0].size, part[2].shape[-1]) for part in parts]),
        segment=segment,
        positions=np.concatenate([part[3].reshape(-1) for part in parts]),
        sees=relation,
        slots=np.add(starts, branches.slots, dtype=np.int32),
        slot_rows=np.arange(count, dtype=np.int64),
    )


def first_segments(tree: PromptTree, segments: int) -> PromptTree | None:
    """Keep the first segments of a trunk and their slots; None if nothing is left.

    Parameters
    ----------
    tree
        A tree without leaves.
    segments
        How many to keep.

    Raises
    ------
    PromptError
        If the tree has leaves.
    """
    require_no_leaves(tree)
    if segments == 0:
        return None
    tokens = int(tree.segment_lengths()[:segments].sum())
    slots = tree.slots < tokens
    return PromptTree(
        tokens=tree.tokens[:tokens],
        items=tree.items[:tokens],
        features=tree.features[:tokens],
        segment=tree.segment[:tokens],
        positions=tree.positions[:tokens],
        sees=tree.sees[:segments, :segments],
        slots=tree.slots[slots],
        slot_rows=tree.slot_rows[slots],
    )


def last_segments(tree: PromptTree, segments: int) -> tuple[PromptTree, Bool[np.ndarray, "N S"]]:
    """Split off what comes after the first segments: what `extend` puts back, and which of the first ones it sees.

    Parameters
    ----------
    tree
        A tree without leaves.
    segments
        How many segments are left out; fewer than the tree has.

    Raises
    ------
    PromptError
        If the tree has leaves, or nothing is left.
    """
    require_no_leaves(tree)
    kept = tree.segment >= segments
    slots = kept[tree.slots]
    first = len(tree) - int(kept.sum())
    rest = PromptTree(
        tokens=tree.tokens[kept],
        items=tree.items[kept],
        features=tree.features[kept],
        segment=tree.segment[kept] - np.int32(segments),
        positions=tree.positions[kept],
        sees=tree.sees[segments:, segments:],
        slots=tree.slots[slots] - np.int32(first),
        slot_rows=tree.slot_rows[slots],
    )
    return rest, tree.sees[segments:, :segments]


def common_segments(one: PromptTree, other: PromptTree) -> int:
    """Count the first segments that two trunks have in common: the same tokens, in the same places, seeing the same."""
    tokens, segments = min(len(one), len(other)), min(one.segment_count, other.segment_count)
    same = np.ones(tokens, np.bool_)
    for name in ("tokens", "items", "positions", "segment"):
        same &= getattr(one, name)[:tokens] == getattr(other, name)[:tokens]
    same &= (one.features[:tokens] == other.features[:tokens]).all(axis=1)
    agreeing = tokens if same.all() else int(np.argmin(same))
    alike = (one.sees[:segments, :segments] == other.sees[:segments, :segments]).all(axis=1)
    ends = np.cumsum(one.segment_lengths())[:segments] == np.cumsum(other.segment_lengths())[:segments]
    good = alike & ends & (np.cumsum(one.segment_lengths())[:segments] <= agreeing)
    return segments if good.all() else int(np.argmin(good))


def require_no_leaves(tree: PromptTree) -> None:
    """Check that every segment may be seen.

    Raises
    ------
    PromptError
        If the tree has leaves.
    """
    if tree.shared_count != tree.segment_count:
        raise PromptError(
            what="a trunk has leaves",
            got=f"{tree.segment_count - tree.shared_count} of {tree.segment_count} segments are leaves",
            expected="shared segments only",
            do="append what later tokens see; ask candidates with branches",
        )


def _check_features(*parts: Float32[np.ndarray, "..."]) -> None:
    widths = {part.shape[-1] for part in parts}
    if len(widths) > 1:
        raise PromptError(
            what="a trunk and what is added to it differ in features per token",
            got=f"{sorted(widths)}",
            expected="one number of features",
            do="make both with the same layout",
        )
