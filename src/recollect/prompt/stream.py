"""The `stream` layout: a profile, then each event once: its item, then its answer.

    <begin> profile | item answer | item answer | … | item ?

Every event is a segment of its own, a demonstration for those after it, and its item's last token is an answer slot.
An event sees the profile and the events known before its instant; events of one instant do not see each other, and all
of them start at the position after what they see, exactly where a candidate of that moment would stand. So a new event
costs its own tokens, and tuning, replay and serving build the same tree. Source: spec `recicl`, section 9, points 1-3.

It decides how an item enters (`StreamSettings.channel`): as *text* (title tokens), as a *soft* token (one placeholder
whose vector the item channel computes), or as *both*, the soft token last.

Dimension letters: K shown events, T tokens, P profile tokens, C candidates, L tokens of the longest branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import PERSON_FEATURES, Evidence
from recollect.context.statistics import EVENT_FEATURES
from recollect.data.catalog import Catalog, Users
from recollect.prompt.branches import Branches
from recollect.prompt.tree import NO_ITEM, PromptTree
from recollect.prompt.vocabulary import BEGIN, DISLIKE, ITEM, LIKE, PAD, Vocabulary

_BEFORE = 2  # event features that are known before the answer
FEATURES: Final = (*EVENT_FEATURES[:_BEFORE], *PERSON_FEATURES, *EVENT_FEATURES[_BEFORE:])
"""Numbers that travel with a soft token; those from `KNOWN_BEFORE` on are zero until the event is answered."""

KNOWN_BEFORE: Final = _BEFORE + len(PERSON_FEATURES)


class StreamSettings(BaseModel):
    """Set how items and users enter the stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["stream"] = "stream"
    channel: Literal["text", "soft", "both"] = "soft"
    title_tokens: int = Field(default=12, ge=1, le=256)
    profile: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class StreamLayout:
    """Lay evidence out as prompt trees.

    Parameters
    ----------
    settings : StreamSettings
        How items and users enter.
    titles : Int32[N]
        Title tokens of all items, one after the other.
    offsets : Int64[I + 1]
        Where each item's title begins.
    profiles : sequence of Int32[P]
        Profile tokens of each user, `<begin>` first.
    """

    settings: StreamSettings
    titles: Int32[np.ndarray, " N"]
    offsets: Int64[np.ndarray, " J"]
    profiles: Sequence[Int32[np.ndarray, "_"]]

    @classmethod
    def of(cls, vocabulary: Vocabulary, catalog: Catalog, users: Users, settings: StreamSettings) -> StreamLayout:
        """Tokenise a catalog and its users once."""
        shown = settings.title_tokens if settings.channel != "soft" else 0
        titles = [tokens[:shown] for tokens in vocabulary.encode(catalog.titles)] if shown else [_NONE] * len(catalog)
        texts = profile_texts(users) if settings.profile else [""] * len(users)
        begin = np.array([BEGIN], np.int32)
        return cls(
            settings=settings,
            titles=np.concatenate([_NONE, *titles]),
            offsets=np.concatenate([[0], np.cumsum([len(t) for t in titles], dtype=np.int64)]),
            profiles=[np.concatenate([begin, tokens]) for tokens in vocabulary.encode(texts)],
        )

    def trunk(self, user: int) -> PromptTree:
        """Lay out the beginning alone: the profile of a user, or only `<begin>` for an unknown one."""
        tokens = self._profile(user)
        count = len(tokens)
        return PromptTree(
            tokens=tokens,
            items=np.full(count, NO_ITEM, np.int32),
            features=np.zeros((count, len(FEATURES)), np.float32),
            segment=np.zeros(count, np.int32),
            positions=np.arange(count, dtype=np.int32),
            sees=np.zeros((1, 1), np.bool_),
            slots=np.zeros(0, np.int32),
            slot_rows=np.zeros(0, np.int64),
        )

    def events(self, evidence: Evidence, *, skip: int = 0) -> PromptTree:
        """Lay out the shown events from number `skip` on, as segments to append behind the profile and the first ones.

        The tree's `sees` relates the new events to each other only; `seen_before` says what they see of the others.
        """
        count = len(evidence) - skip
        lengths = self._item_lengths(evidence.items) + 1
        ends = np.concatenate([[0], np.cumsum(lengths)])
        begin = len(self._profile(evidence.user))
        segment = np.repeat(np.arange(count, dtype=np.int32), lengths[skip:])
        offset = np.arange(len(segment)) - (ends[skip:-1] - ends[skip])[segment]
        tokens, items, features = self._event_tokens(evidence, skip=skip, segment=segment, offset=offset)
        slots = np.flatnonzero(evidence.asked[skip:])
        return PromptTree(
            tokens=tokens,
            items=items,
            features=features,
            segment=segment,
            positions=(begin + ends[evidence.sees[skip:]][segment] + offset).astype(np.int32),
            sees=np.arange(skip, skip + count) < evidence.sees[skip:, None],
            slots=(ends[skip + 1 :][slots] - ends[skip] - 2).astype(np.int32),
            slot_rows=evidence.rows[skip:][slots],
        )

    def length(self, evidence: Evidence) -> int:
        """Return the number of tokens T of the tree that shows the evidence."""
        return len(self._profile(evidence.user)) + int((self._item_lengths(evidence.items) + 1).sum())

    def tree(self, evidence: Evidence) -> PromptTree:
        """Lay out profile and events as one tree, with a slot at every asked event."""
        trunk = self.trunk(evidence.user)
        if not len(evidence):
            return trunk
        events = self.events(evidence)
        count = events.segment_count
        sees = np.zeros((count + 1, count + 1), np.bool_)
        sees[1:, 0] = True
        sees[1:, 1:] = events.sees
        return PromptTree(
            tokens=np.concatenate([trunk.tokens, events.tokens]),
            items=np.concatenate([trunk.items, events.items]),
            features=np.concatenate([trunk.features, events.features]),
            segment=np.concatenate([trunk.segment, events.segment + 1]).astype(np.int32),
            positions=np.concatenate([trunk.positions, events.positions]),
            sees=sees,
            slots=events.slots + np.int32(len(trunk)),
            slot_rows=events.slot_rows,
        )

    def branches(
        self, evidence: Evidence, items: Int32[np.ndarray, " C"], features: Float32[np.ndarray, "C E"]
    ) -> Branches:
        """Lay out candidates behind all shown events, each starting where they end and asked at its last token.

        Parameters
        ----------
        evidence : Evidence
            What the trunk shows.
        items : Int32[C]
            Item codes of the candidates.
        features : Float32[C, E]
            Their event features at the moment of the query, not answered.
        """
        person = np.repeat(evidence.person(np.array([len(evidence)], np.int32)), len(items), axis=0)
        features = _together(features, person)
        start = self.length(evidence)
        lengths = self._item_lengths(items)
        longest = int(lengths.max()) if len(items) else 1
        inside = np.arange(longest) < lengths[:, None]
        titles = self.offsets[items + 1] - self.offsets[items]
        is_title = np.arange(longest) < titles[:, None]
        tokens = np.full(inside.shape, PAD, np.int32)
        where = (self.offsets[items][:, None] + np.arange(longest))[is_title]
        tokens[is_title] = self.titles[where]
        is_soft = inside & ~is_title
        tokens[is_soft] = ITEM
        codes = np.where(is_soft, items[:, None], NO_ITEM).astype(np.int32)
        numbers = np.where(is_soft[:, :, None], features[:, None], 0).astype(np.float32)
        return Branches.of(tokens, start=start, items=codes, features=numbers, slots=(lengths - 1).astype(np.int32))

    def _profile(self, user: int) -> Int32[np.ndarray, " P"]:
        return self.profiles[user] if user < len(self.profiles) else np.array([BEGIN], np.int32)

    def _item_lengths(self, items: Int32[np.ndarray, " K"]) -> Int64[np.ndarray, " K"]:
        titles = self.offsets[items + 1] - self.offsets[items]
        return titles + 1 if self.settings.channel != "text" else np.maximum(titles, 1)

    def _event_tokens(
        self, evidence: Evidence, *, skip: int, segment: Int32[np.ndarray, " T"], offset: Int64[np.ndarray, " T"]
    ) -> tuple[Int32[np.ndarray, " T"], Int32[np.ndarray, " T"], Float32[np.ndarray, "T F"]]:
        """Fill token ids, item codes and features of the events from `skip` on."""
        items, labels = evidence.items[skip:][segment], evidence.labels[skip:][segment]
        is_answer = offset == self._item_lengths(items)
        is_title = offset < self.offsets[items + 1] - self.offsets[items]
        tokens = np.where(labels, LIKE, DISLIKE).astype(np.int32)
        tokens[~is_answer] = ITEM if self.settings.channel != "text" else PAD  # a title without tokens shows as padding
        tokens[is_title] = self.titles[self.offsets[items[is_title]] + offset[is_title]]
        soft: Bool[np.ndarray, " T"] = ~is_title & (self.settings.channel != "text")
        person = evidence.person(evidence.sees[skip:])
        numbers = _together(evidence.features[skip:], person)[segment]
        features = np.where(soft[:, None], numbers, 0).astype(np.float32)
        features[~is_answer, KNOWN_BEFORE:] = 0
        return tokens, np.where(soft, items, NO_ITEM).astype(np.int32), features


def profile_texts(users: Users) -> list[str]:
    """Write each user's attributes as one line, unknown ones left out.

    Examples
    --------
    >>> profile_texts(Users(ids=("1",), attributes={"gender": ("F",), "age": ("",)}))
    ['gender F']
    """
    return [
        ", ".join(f"{name} {values[code]}" for name, values in users.attributes.items() if values[code])
        for code in range(len(users))
    ]


def _together(event: Float32[np.ndarray, "K E"], person: Float32[np.ndarray, "K P"]) -> Float32[np.ndarray, "K F"]:
    return np.concatenate([event[:, :_BEFORE], person, event[:, _BEFORE:]], axis=1)


_NONE = np.zeros(0, np.int32)
