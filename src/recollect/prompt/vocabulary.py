"""The vocabulary: text to tokens and back, with a tokenizer trained on the catalog or that of any language model.

What it is: a tokenizer of the `tokenizers` library with what a prompt needs to know of it: the tokens that open every
prompt, and what a chat template puts around a message. Text is encoded piece by piece, so the tokens of one piece never
depend on its neighbour.

It decides the special tokens of a vocabulary of our own, and their ids 0 to 4; that special tokens written inside a
title are ordinary text; and, with an *anchor*, that a piece gets the tokens that it has inside running text: it is
encoded behind the anchor, whose tokens are then taken off, since many tokenizers treat the start of a text specially.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32
from tokenizers import Encoding, Tokenizer, decoders, models, pre_tokenizers, trainers

from recollect.errors import RunNotFound

PAD, BEGIN, ITEM, LIKE, DISLIKE = range(5)
SPECIAL: Final = ("<pad>", "<begin>", "<item>", "<like>", "<dislike>")
_ANCHOR: Final = "a"


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """Hold what a chat template writes before and after the user's message, special tokens included."""

    before: str
    after: str


@dataclass(frozen=True, eq=False, slots=True)
class Vocabulary:
    """Encode and decode text; ``len(vocabulary)`` is V.

    Parameters
    ----------
    tokenizer : Tokenizer
        Set anew by every call to neither cut nor pad.
    opening : tuple of int
        Tokens that begin every prompt, possibly none.
    frame : ChatFrame, optional
        Of an instruct model.
    anchor : str
        What stands before a piece while it is encoded; empty for pieces that stand alone.
    """

    tokenizer: Tokenizer
    opening: tuple[int, ...] = (BEGIN,)
    frame: ChatFrame | None = None
    anchor: str = ""

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], *, size: int) -> Vocabulary:
        """Learn byte-pair merges from texts.

        Parameters
        ----------
        texts : iterable of str
            Titles, genres, attributes: what will be encoded later.
        size : int
            V, at most; at least 261 (all bytes and the special tokens).
        """
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, file: Path) -> Vocabulary:
        """Read a tokenizer file.

        Raises
        ------
        RunNotFound
            If there is none.
        ValueError
            If it is not JSON.
        """
        if not file.is_file():
            raise RunNotFound("a run without its tokenizer", got=file, expected="tokenizer.json", do="tune again")
        text = file.read_text(encoding="utf-8")
        json.loads(text)  # the library below tells a damaged file by a bare Exception
        return cls(Tokenizer.from_str(text))

    def save(self, file: Path) -> None:
        """Write the tokenizer in the format of the `tokenizers` library."""
        self.tokenizer.save(str(file))

    def anchored(self) -> Vocabulary:
        """Return the same vocabulary for pieces of running text."""
        return self if self.anchor else replace(self, anchor=_ANCHOR)

    def alone(self) -> Vocabulary:
        """Return the same vocabulary for texts that begin a prompt."""
        return replace(self, anchor="")

    def encode(self, texts: Sequence[str]) -> list[Int32[np.ndarray, " T"]]:
        """Turn each text into token ids; special tokens written in it are ordinary text."""
        self._set(special_as_text=True)
        return self._pieces(texts)

    def encode_markup(self, text: str) -> Int32[np.ndarray, " T"]:
        """Turn a text into token ids; special tokens written in it count as such."""
        self._set(special_as_text=False)
        return self._pieces([text])[0]

    def decode(self, tokens: Int32[np.ndarray, " T"]) -> str:
        """Turn token ids back into text, special tokens shown by name."""
        return self.tokenizer.decode(tokens.tolist(), skip_special_tokens=False)

    def _set(self, *, special_as_text: bool) -> None:
        # whoever else holds the tokenizer of a language model may have changed these
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = special_as_text

    def _pieces(self, texts: Sequence[str]) -> list[Int32[np.ndarray, " T"]]:
        """Encode each text behind the anchor, and take the anchor off; alone where the anchor does not come apart."""
        whole = [one.ids for one in self._ids([self.anchor + text for text in texts])]
        if not self.anchor:
            return [np.array(ids, np.int32) for ids in whole]
        anchor: list[int] = self._ids([self.anchor])[0].ids
        count = len(anchor)
        joined = [number for number, ids in enumerate(whole) if ids[:count] != anchor]
        alone = {number: self._ids([texts[number]])[0].ids for number in joined}
        return [np.array(alone.get(number, ids[count:]), np.int32) for number, ids in enumerate(whole)]

    def _ids(self, texts: Sequence[str]) -> list[Encoding]:
        return self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
