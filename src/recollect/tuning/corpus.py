"""The pretraining corpus: the texts of a catalog and what people did, written out as short documents.

Four kinds of documents, all in our own wording: what a title is (`catalog`), a stretch of one person's events in time
order (`ratings`), the same stretch as liked and disliked titles (`lists`), and such lists with a question about the
next event and its answer from the log (`questions`).

It decides that a corpus comes in passes: each pass cuts every person's events anew into stretches, tells each stretch
once, in random order, and strews catalog lines between them, so that a long corpus covers the log evenly. A title is
always written as a space, a quote, the title and a quote. Only the rows given are read, so nothing later can leak;
titles and genres are taken from the whole catalog, as a language model of the world would know them too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from jaxtyping import Int32, Int64
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase

from recollect.data.dataset import Dataset
from recollect.data.splits import Split
from recollect.errors import DataError
from recollect.prompt.wording import DISLIKED, LIKED, MARK, MARKER, NOTHING, QUESTION, STARS, answer, quoted, stars

BEGIN: Final = "<|begin|>"
END: Final = "<|end|>"
PAD: Final = "<|pad|>"
SPECIAL: Final = (BEGIN, END, PAD)
"""Special tokens, in the order of their ids."""

_QUOTE: Final = Regex(' ?"')  # a quote never joins its neighbours, so that a title has the same tokens everywhere
_CLOSING: Final = Regex("[?:]")  # ends a piece of a prompt
_OPENING: Final = Regex("\n")  # begins one
_BATCH: Final = 512  # documents encoded together


class CorpusMix(BaseModel):
    """Set the share of documents of each kind, and how many events a stretch holds at most.

    The four shares sum to 1. Questions are few: enough to know the answer words, too few to learn the task from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: float = Field(default=0.1, ge=0, lt=1)
    ratings: float = Field(default=0.5, ge=0, le=1)
    lists: float = Field(default=0.3, ge=0, le=1)
    questions: float = Field(default=0.1, ge=0, le=1)
    stretch: int = Field(default=24, ge=2)

    @model_validator(mode="after")
    def _sums_to_one(self) -> CorpusMix:
        total = self.catalog + self.ratings + self.lists + self.questions
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares must sum to 1, and sum to {total:g}")
        return self

    @classmethod
    def with_questions(cls, share: float) -> CorpusMix:
        """Give questions another share; the other kinds keep their proportions."""
        usual = cls()
        rest = (1 - share) / (1 - usual.questions)
        return cls(
            catalog=usual.catalog * rest, ratings=usual.ratings * rest, lists=usual.lists * rest, questions=share
        )


@dataclass(frozen=True, eq=False, slots=True)
class Corpus:
    """Write documents about a catalog and some rows of a log.

    Parameters
    ----------
    dataset : Dataset
        Log and catalog.
    rows : Int64[K]
        Rows of the log that may be told, in ascending order.
    mix : CorpusMix
        How often each kind of document comes.
    """

    dataset: Dataset
    rows: Int64[np.ndarray, " K"]
    mix: CorpusMix

    def __post_init__(self) -> None:
        if not len(self.rows):
            raise DataError("no events to write about", got="no rows", expected="one or more", do="check the split")

    def documents(self, *, seed: int) -> Iterator[str]:
        """Yield documents without end, the same ones for the same seed."""
        random = np.random.default_rng(seed)
        people = self._people()
        starred = len(np.unique(self.dataset.log.value[self.rows])) > 2
        lines = self._catalog_lines(random)
        share = np.array([self.mix.ratings, self.mix.lists, self.mix.questions])
        while True:
            stretches = [part for person in people for part in _cut(person, self.mix.stretch, random)]
            for place in cast(list[int], random.permutation(len(stretches)).tolist()):
                while random.random() < self.mix.catalog:
                    yield next(lines)
                kind = random.choice(3, p=share / share.sum())
                yield self._tell(stretches[place], kind=int(kind), stars=starred, random=random)

    def _people(self) -> list[Int64[np.ndarray, " _"]]:
        """Return the rows of each person, in log order."""
        user = self.dataset.log.user[self.rows]
        order = np.argsort(user, kind="stable")
        borders = np.flatnonzero(np.diff(user[order])) + 1
        return np.split(self.rows[order], borders)

    def _catalog_lines(self, random: np.random.Generator) -> Iterator[str]:
        catalog = self.dataset.catalog
        while True:
            for item in cast(list[int], random.permutation(len(catalog)).tolist()):
                kinds = ", ".join(catalog.genres[item]) or "unknown"
                yield f"The title{quoted(catalog.titles[item])} is of these kinds: {kinds}."

    def _tell(self, rows: Int64[np.ndarray, " S"], *, kind: int, stars: bool, random: np.random.Generator) -> str:
        log = self.dataset.log
        titles = [quoted(self.dataset.catalog.titles[int(item)]) for item in log.item[rows]]
        likes = [bool(label) for label in log.label[rows]]
        values = [float(value) for value in log.value[rows]] if stars else []
        if kind == 0:
            return tell_ratings(titles, likes, values, say_likes=not stars or bool(random.random() < 0.5))
        if kind == 1 or len(titles) < 2:
            return tell_lists(titles, likes)
        first = int(random.integers(1, len(titles)))
        if stars and random.random() < 0.5:
            told = tell_ratings(titles[:first], likes[:first], values[:first], say_likes=False)
        else:
            told = tell_lists(titles[:first], likes[:first])
        return told + ask_each(titles[first:], likes[first:])


def told_rows(split: Split) -> Int64[np.ndarray, " K"]:
    """Return the rows that a model may read before it is judged: all to the end of the training part, and no later.

    Among them are events that a protocol does not ask about, such as the first ones of each person.
    """
    if not len(split.train):
        return split.train
    later = np.concatenate([split.valid, split.test])
    return np.setdiff1d(np.arange(int(split.train[-1]) + 1), later)


def _cut(person: Int64[np.ndarray, " _"], most: int, random: np.random.Generator) -> list[Int64[np.ndarray, " _"]]:
    """Cut the events of a person into stretches; where there are several, the first has a random length."""
    first = int(random.integers(1, most + 1)) if len(person) > most else most
    return np.split(person, range(first, len(person), most))


def tell_ratings(titles: Sequence[str], likes: Sequence[bool], values: Sequence[float], *, say_likes: bool) -> str:
    """Tell events in time order, each with its stars (unless there are no values) and whether it was liked."""
    verdicts = [(" liked" if like else " disliked") for like in likes]
    values_told = [stars(value) for value in values]
    if values_told and say_likes:
        facts = [value + verdict for value, verdict in zip(values_told, verdicts, strict=True)]
    else:
        facts = values_told or verdicts
    return STARS.lstrip() + "".join(title + fact for title, fact in zip(titles, facts, strict=True))


def tell_lists(titles: Sequence[str], likes: Sequence[bool]) -> str:
    """Tell events as the titles liked and the titles disliked, each in time order."""
    liked, disliked = (
        "".join(title for title, like in zip(titles, likes, strict=True) if like is wanted) for wanted in (True, False)
    )
    return LIKED.lstrip() + (liked or NOTHING) + DISLIKED + (disliked or NOTHING)


def ask_each(titles: Sequence[str], likes: Sequence[bool]) -> str:
    """Ask about events one after the other, and answer as the log does."""
    return "".join(
        QUESTION + title + MARK + MARKER + answer("yes" if like else "no")
        for title, like in zip(titles, likes, strict=True)
    )


def train_tokenizer(texts: Iterator[str], *, size: int) -> Tokenizer:
    """Learn byte-level merges from texts; the special tokens take the ids 0 (begin), 1 (end) and 2 (pad).

    Merges run across the words of a title and of a sentence, but never across a quote, a question mark, a colon or a
    new line: a title often met is one token, and the pieces of a prompt have the tokens that they have in the corpus.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_QUOTE, behavior="isolated"),
            pre_tokenizers.Split(_CLOSING, behavior="merged_with_previous"),
            pre_tokenizers.Split(_OPENING, behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pack(
    documents: Iterator[str], tokenizer: PreTrainedTokenizerBase, *, count: int, length: int
) -> Int32[np.ndarray, "R T"]:
    """Lay documents end to end and cut them into rows.

    Parameters
    ----------
    documents : iterator of str
        As many as are needed are taken.
    tokenizer : PreTrainedTokenizerBase
        A fast one; its tokens for the beginning and the end of a text part the documents, as far as it has them.
    count : int
        R, how many rows.
    length : int
        T, tokens of each.
    """
    begin, end = ([] if one is None else [one] for one in (tokenizer.bos_token_id, tokenizer.eos_token_id))
    encode = cast(Tokenizer, cast(Any, tokenizer).backend_tokenizer).encode_batch
    flat = np.empty(count * length, np.int32)
    filled = 0
    while filled < len(flat):
        texts = [next(documents) for _ in range(_BATCH)]
        for encoded in encode(texts, add_special_tokens=False):
            piece = np.array([*begin, *encoded.ids, *end], np.int32)[: len(flat) - filled]
            flat[filled : filled + len(piece)] = piece
            filled += len(piece)
    return flat.reshape(count, length)
