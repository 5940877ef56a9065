"""Warm trunks: for each person the encoded trunk of the last query, of which the next one reuses all it can.

It decides that a trunk is known by what it shows: the segments that two trunks have in common keep their keys and
values, the rest is encoded. So a new event costs its own tokens, an evicted or late one the tokens behind it, whatever
the layout, and a warm answer equals a cold one by construction. The least recently used trunks go first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.prompt.growth import common_segments, last_segments
from recollect.prompt.tree import PromptTree


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
        Encodes what is missing.
    limit : int
        How many persons are kept.
    """

    def __init__(self, model: LanguageModel, *, limit: int = 256) -> None:
        self._model = model
        self._limit = limit
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def __contains__(self, user: int) -> bool:
        return user in self._kept

    def warm(self, user: int, trunk: PromptTree) -> Warm:
        """Encode what is missing of a trunk, and keep it unless it is the beginning of the one kept.

        Parameters
        ----------
        user
            Code of the person.
        trunk
            Shared segments without slots.
        """
        kept = self._kept.get(user)
        if kept is None:
            return self._keep(user, trunk, Warm(self._model.append(TrunkCache.empty(), trunk), 0))
        common = common_segments(kept.tree, trunk)
        cache = kept.cache.crop(common)
        if common == trunk.segment_count:
            self._kept.move_to_end(user)
            return Warm(cache, cache.length)
        rest, sees = last_segments(trunk, common)
        return self._keep(user, trunk, Warm(self._model.append(cache, rest, sees=sees), cache.length))

    def _keep(self, user: int, trunk: PromptTree, warm: Warm) -> Warm:
        self._kept[user] = _Kept(trunk, warm.cache)
        self._kept.move_to_end(user)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return warm
