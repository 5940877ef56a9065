"""Warm trunks: for each person the encoded trunk of the last query, of which the next one reuses all it can.

It decides that a trunk is known by what it shows: the segments that two trunks have in common keep their keys and
values, the rest is encoded. So a new event costs its own tokens, an evicted or late one the tokens behind it, whatever
the layout, and a warm answer equals a cold one by construction. Trunks are kept within a byte budget, spare room
included; the least recently used ones go first, and cost a person's next query the tokens of the trunk.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from recollect.context.budgeted import Budgeted
from recollect.model.cache import TrunkCache
from recollect.model.growth import Growth
from recollect.model.language_model import LanguageModel
from recollect.prompt.growth import common_segments, last_segments
from recollect.prompt.tree import PromptTree

TRUNK_BYTES: Final = 256 << 20
"""Budget of a recommender that was not told another one."""

_TREE_ARRAYS: Final = ("tokens", "items", "features", "segment", "positions", "sees", "slots", "slot_rows")


_Waiting = list[tuple[int, tuple[Hashable | None, PromptTree]]]  # trunks with their places


class Warm(NamedTuple):
    """An encoded trunk, and how many of its tokens were there before."""

    cache: TrunkCache
    reused: int


@dataclass(frozen=True, eq=False, slots=True)
class _Kept:
    tree: PromptTree
    cache: TrunkCache


class Trunks:
    """Keep encoded trunks by person.

    Parameters
    ----------
    model : LanguageModel
        Encodes what is missing. It may be replaced by one that encodes what is kept in the same way.
    budget : int
        Bytes of all trunks together.
    """

    def __init__(self, model: LanguageModel, *, budget: int = TRUNK_BYTES) -> None:
        self.model = model
        self._kept = Budgeted[Hashable, _Kept](budget=budget)

    def __contains__(self, user: Hashable) -> bool:
        return user in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def budget(self) -> int:
        """Bytes that may be kept."""
        return self._kept.budget or 0

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return self._kept.nbytes

    def limit(self, budget: int) -> None:
        """Keep to another budget of bytes."""
        self._kept.limit(budget)

    def forget(self, user: Hashable) -> bool:
        """Forget a person's trunk; say whether there was one."""
        return self._kept.drop(user)

    def clear(self) -> None:
        """Forget all trunks."""
        self._kept.clear()

    def warm(self, user: Hashable | None, trunk: PromptTree) -> Warm:
        """Encode what is missing of a trunk, and keep it unless it is the beginning of the one kept.

        Parameters
        ----------
        user
            Who it is of; None for nobody, of whom nothing is kept.
        trunk
            Shared segments without slots.
        """
        return self.warm_together([(user, trunk)])[0]

    def warm_together(self, asked: Sequence[tuple[Hashable | None, PromptTree]]) -> list[Warm]:
        """Encode what is missing of several trunks in shared passes, and keep them as `warm` does.

        Parameters
        ----------
        asked
            Whose each trunk is, and the trunk. Of one person the later ones build on the earlier ones.
        """
        found: dict[int, Warm] = {}
        waiting = list(enumerate(asked))
        while waiting:
            turn, waiting = _one_of_each(waiting)
            found |= zip([place for place, _ in turn], self._warm([one for _, one in turn]), strict=True)
        return [found[place] for place in range(len(asked))]

    def _warm(self, asked: Sequence[tuple[Hashable | None, PromptTree]]) -> list[Warm]:
        """Encode what is missing of trunks of different people."""
        cropped = [self._crop(user, trunk) for user, trunk in asked]
        growths = [_growth(cache, trunk) for cache, (_, trunk) in zip(cropped, asked, strict=True)]
        caches = iter(self.model.append_together([one for one in growths if one is not None]))
        warm = [
            Warm(cache if growth is None else next(caches), cache.length)
            for cache, growth in zip(cropped, growths, strict=True)
        ]
        for (user, trunk), growth, one in zip(asked, growths, warm, strict=True):
            if growth is not None and user is not None:
                self._kept.put(user, _Kept(trunk, one.cache), nbytes=_size(trunk, one.cache))
        return warm

    def _crop(self, user: Hashable | None, trunk: PromptTree) -> TrunkCache:
        """Return what is kept of a trunk."""
        kept = None if user is None else self._kept.get(user)
        return TrunkCache.empty() if kept is None else kept.cache.crop(common_segments(kept.tree, trunk))


def _growth(cache: TrunkCache, trunk: PromptTree) -> Growth | None:
    """Say by what a trunk that begins as cached must grow; None if it is all there."""
    if not cache.segment_count:
        return Growth.of(cache, trunk)
    if cache.segment_count == trunk.segment_count:
        return None
    rest, sees = last_segments(trunk, cache.segment_count)
    return Growth.of(cache, rest, sees=sees)


def _one_of_each(waiting: _Waiting) -> tuple[_Waiting, _Waiting]:
    """Part trunks into the first one of each person, with all of nobody, and the rest."""
    people = set[Hashable]()
    turn, rest = _Waiting(), _Waiting()
    for place, (user, trunk) in waiting:
        (rest if user in people else turn).append((place, (user, trunk)))
        people |= set() if user is None else {user}
    return turn, rest


def _size(tree: PromptTree, cache: TrunkCache) -> int:
    """Count the bytes of a trunk and its keys and values."""
    states = (*cache.store.keys, *cache.store.values)
    arrays = sum(getattr(tree, name).nbytes for name in _TREE_ARRAYS)
    return arrays + sum(part.nbytes for parts in states for part in parts)
