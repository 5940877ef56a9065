"""The `block` layout: each demonstration a complete question with its own history and answer, then the query.

    One person and one title at a time: will they like it? Answer yes or no.
    Liked: "A" "B"
    Will this person like "T"? Answer: yes
    Liked: "A" "B" "T"
    Will this person like "U"? Answer:

What it is: the tokens of every piece of such a prompt, looked up or made once per catalog; `recollect.prompt.wording`
has the words. It decides that text is encoded piece by piece: a title has the same tokens wherever it stands, a long
one is cut inside its quotes, and whatever it contains is ordinary text. In a chat the message ends with the question,
and the marker begins the reply. Sources: RecICL (arXiv 2410.23136) and TALLRec, spec `recicl`, section 2; ReLLa, spec
`rella`, section 4. It departs from them in all wording, and in having no commas and no numbers unless asked for.

Dimension letters: H events of a history, T tokens of a piece, N tokens of all titles, I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Int32, Int64
from pydantic import BaseModel, ConfigDict, Field

from recollect.context.evidence import HistoryView, Timeline
from recollect.data.catalog import Catalog, Users
from recollect.errors import ModelError
from recollect.prompt import wording
from recollect.prompt.answers import Answers
from recollect.prompt.prompter import NO_EVENT
from recollect.prompt.stream import profile_texts
from recollect.prompt.vocabulary import Vocabulary

_ENDLESS: Final = 2**31 - 1


class BlockSettings(BaseModel):
    """Set the wording of blocks.

    `form` prints the history as one list of titles (`plain`), as a liked and a disliked list (`lists`), or with stars
    (`stars`). `noun` is what an item is called. `numbered` numbers the blocks from 1; without numbers a prompt only
    ever grows at its end. `chat` writes it into the tokenizer's chat template, which must be there. `title_tokens` cuts
    long titles, and `budget` is the most tokens of a prompt; fewer where the model reads less.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["block"] = "block"
    form: Literal["plain", "lists", "stars"] = "plain"
    noun: str = Field(default="title", min_length=1)
    profile: bool = False
    numbered: bool = False
    chat: bool = False
    title_tokens: int = Field(default=24, ge=1, le=256)
    budget: int = Field(default=2048, ge=32)


class Phrases:
    """Encode pieces of running text, each only once.

    Parameters
    ----------
    vocabulary : Vocabulary
        Of the model that reads them.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary.anchored()
        self._known: dict[str, Int32[np.ndarray, " T"]] = {}

    def __call__(self, text: str) -> Int32[np.ndarray, " T"]:
        """Return the tokens of a piece."""
        if text not in self._known:
            self._known[text] = self.vocabulary.encode([text])[0]
        return self._known[text]


@dataclass(frozen=True, eq=False, slots=True)
class BlockLayout:
    """Give the tokens of every piece of a prompt.

    Parameters
    ----------
    settings : BlockSettings
        The wording.
    likes_only : bool
        Whether histories hold likes alone.
    answers : Answers
        Words and tokens of the answers.
    phrases : Phrases
        Encodes fixed sentences, numbers and values.
    titles : Int32[N]
        Tokens of all titles in their quotes, one after the other.
    offsets : Int64[I + 1]
        Where each item's title begins.
    starts : sequence of Int32[T]
        What begins the prompts of each user, and, last, those of anybody else.
    ask : Int32[T]
        What stands between the title asked and the answer; in demonstrations it is `mark`.
    longest : int
        Most tokens of a title.
    span : int
        How many positions the model looks across.
    """

    settings: BlockSettings
    likes_only: bool
    answers: Answers
    phrases: Phrases
    titles: Int32[np.ndarray, " N"]
    offsets: Int64[np.ndarray, " J"]
    starts: Sequence[Int32[np.ndarray, "_"]]
    ask: Int32[np.ndarray, " T"]
    longest: int
    span: int = _ENDLESS

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        catalog: Catalog,
        users: Users,
        *,
        settings: BlockSettings,
        history: HistoryView,
        answers: Answers,
        span: int = _ENDLESS,
    ) -> BlockLayout:
        """Tokenise a catalog and its users once.

        Parameters
        ----------
        vocabulary : Vocabulary
            Of the model that reads the prompts.
        catalog, users : Catalog, Users
            Titles and profiles.
        settings : BlockSettings
            The wording.
        history : HistoryView
            Whether histories hold likes alone.
        answers : Answers
            Words and tokens of the answers.
        span : int
            How many positions the model looks across.

        Raises
        ------
        ModelError
            If a chat is wanted and the tokenizer has no template for one.
        """
        phrases = Phrases(vocabulary)
        quote, end = phrases(' "'), phrases('"')
        longest = len(quote) + settings.title_tokens + len(end)
        whole = phrases.vocabulary.encode([wording.quoted(title) for title in catalog.titles])
        titles = [tokens if len(tokens) <= longest else _cut(tokens, longest, end) for tokens in whole]
        before, ask = _ends(phrases.vocabulary, settings, words=answers.words)
        texts = profile_texts(users) if settings.profile else []
        profiles = phrases.vocabulary.encode([wording.profile(text) for text in texts])
        return cls(
            settings=settings,
            likes_only=history.feedback == "likes",
            answers=answers,
            phrases=phrases,
            titles=np.concatenate([_NONE, *titles]),
            offsets=np.concatenate([[0], np.cumsum([len(tokens) for tokens in titles], dtype=np.int64)]),
            starts=[*(np.concatenate([before, tokens]) for tokens in profiles), before],
            ask=ask,
            longest=longest,
            span=span,
        )

    @property
    def budget(self) -> int:
        """Most tokens of a prompt: as set, or what the model can read with the later tokens of any answer behind it."""
        return min(self.settings.budget, self.span - self.answer_length + 1)

    @property
    def answer_length(self) -> int:
        """Most tokens of an answer."""
        return max(len(tokens) for tokens in self.answers.tokens)

    @property
    def mark(self) -> Int32[np.ndarray, " T"]:
        """What stands between title and answer of a demonstration."""
        return self.phrases(wording.MARK + wording.MARKER)

    @property
    def bare(self) -> int:
        """Tokens of a block besides its titles, its number and what follows the title asked."""
        heads = wording.heads(self.settings, likes_only=self.likes_only)
        return sum(len(self.phrases(head)) for head in heads) + len(self.phrases(wording.QUESTION))

    @property
    def reserve(self) -> int:
        """Most tokens that the question of a query takes, whatever its item."""
        return len(self.phrases(wording.QUESTION)) + self.longest + len(self.ask)

    def start(self, user: int) -> Int32[np.ndarray, " T"]:
        """Return what begins every prompt of a user: opening, introduction, profile."""
        return self.starts[user] if user < len(self.starts) else self.starts[-1]

    def number(self, count: int) -> Int32[np.ndarray, " T"]:
        """Return the number of a block, from 1; nothing if blocks have none."""
        return self.phrases(wording.number(count)) if self.settings.numbered else _NONE

    def history(self, line: Timeline, places: Int64[np.ndarray, " H"]) -> list[tuple[int, Int32[np.ndarray, " T"]]]:
        """Return the pieces of a history: the head of each list, then its events.

        Parameters
        ----------
        line : Timeline
            A person's events.
        places : Int64[H]
            Those shown, in the order shown.

        Returns
        -------
        list
            Place in the timeline (`NO_EVENT` for a head) and tokens of each piece.
        """
        pieces: list[tuple[int, Int32[np.ndarray, " T"]]] = []
        for head, listed in self._lists(line, places):
            pieces.append((NO_EVENT, self.phrases(head if len(listed) else head + wording.NOTHING)))
            pieces += zip(listed.tolist(), self._events(line, listed), strict=True)
        return pieces

    def history_length(self, line: Timeline, places: Int64[np.ndarray, " H"]) -> int:
        """Return the number of tokens of a history."""
        heads = (head if len(listed) else head + wording.NOTHING for head, listed in self._lists(line, places))
        return int(self.event_lengths(line, places).sum()) + sum(len(self.phrases(head)) for head in heads)

    def event_lengths(self, line: Timeline, places: Int64[np.ndarray, " H"]) -> Int64[np.ndarray, " H"]:
        """Return the number of tokens of each event of a history."""
        items = line.items[places]
        lengths = self.offsets[items + 1] - self.offsets[items]
        if self.settings.form == "stars":
            lengths += np.array([len(self._value(value)) for value in line.values[places].tolist()], np.int64)
        return lengths

    def question(self, item: int) -> Int32[np.ndarray, " T"]:
        """Return the question about an item up to its title."""
        return np.concatenate([self.phrases(wording.QUESTION), self.title(item)])

    def body(self, line: Timeline, places: Int64[np.ndarray, " H"], *, item: int) -> Int32[np.ndarray, " T"]:
        """Return history and question of a block, up to the title asked."""
        shown = (tokens for _, tokens in self.history(line, places))
        return np.concatenate([*shown, self.phrases(wording.QUESTION), self.title(item)])

    def answer(self, label: bool) -> Int32[np.ndarray, " T"]:  # noqa: FBT001 - the label is the argument
        """Return the tokens of an answer."""
        return np.array(self.answers.tokens[int(label)], np.int32)

    def title(self, item: int) -> Int32[np.ndarray, " T"]:
        """Return the tokens of a title in its quotes."""
        return self.titles[self.offsets[item] : self.offsets[item + 1]]

    def _lists(self, line: Timeline, places: Int64[np.ndarray, " H"]) -> list[tuple[str, Int64[np.ndarray, "_"]]]:
        """Return the head and the events of each list."""
        heads = wording.heads(self.settings, likes_only=self.likes_only)
        if len(heads) == 1:
            return [(heads[0], places)]
        liked = line.labels[places]
        return [(heads[0], places[liked]), (heads[1], places[~liked])]

    def _events(self, line: Timeline, places: Int64[np.ndarray, " H"]) -> list[Int32[np.ndarray, "_"]]:
        """Return the tokens of each shown event."""
        titles = [self.title(item) for item in line.items[places].tolist()]
        if self.settings.form != "stars":
            return titles
        values = map(self._value, line.values[places].tolist())
        return [np.concatenate(pair) for pair in zip(titles, values, strict=True)]

    def _value(self, value: float) -> Int32[np.ndarray, " T"]:
        return self.phrases(wording.stars(value))


def _cut(tokens: Int32[np.ndarray, " T"], longest: int, end: Int32[np.ndarray, " Q"]) -> Int32[np.ndarray, " L"]:
    """Cut a title inside its quotes."""
    return np.concatenate([tokens[: longest - len(end)], end])


def _ends(
    vocabulary: Vocabulary, settings: BlockSettings, *, words: tuple[str, str]
) -> tuple[Int32[np.ndarray, " B"], Int32[np.ndarray, " A"]]:
    """Return what begins every prompt, and what stands between the title asked and the answer.

    Raises
    ------
    ModelError
        If a chat is wanted and the tokenizer has no template for one.
    """
    alone = vocabulary.alone()
    text = wording.intro(settings, words=words)
    frame = vocabulary.frame if settings.chat else None
    if settings.chat and frame is None:
        raise ModelError(
            "a chat for a model that has none",
            got="layout.chat = true, and a tokenizer without a chat template that takes one message of the user",
            expected="a chat template, as instruct models have",
            do="set layout.chat to false, or choose an instruct model",
        )
    if frame is None:
        start, ask = alone.encode([text])[0], vocabulary.encode([wording.MARK + wording.MARKER])[0]
    else:
        start = alone.encode_markup(frame.before + text)
        ask = vocabulary.encode_markup(wording.MARK + frame.after + wording.MARKER.lstrip())
    opening = np.array(vocabulary.opening, np.int32)
    repeated = np.array_equal(start[: len(opening)], opening)  # some templates write the opening themselves
    return np.concatenate([opening[: 0 if repeated else None], start]), ask


_NONE = np.zeros(0, np.int32)
