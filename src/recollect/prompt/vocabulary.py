"""The vocabulary: a tokenizer trained on the catalog, with tokens of its own for items and answers.

What it is: byte-pair encoding over titles, genres and user attributes (the `tokenizers` library), plus five special
tokens. Text is encoded piece by piece, so the tokens of one piece never depend on its neighbour.

It decides the special tokens and their ids 0 to 4; special tokens written inside a title are ordinary text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from recollect.errors import RunNotFound

PAD, BEGIN, ITEM, LIKE, DISLIKE = range(5)
SPECIAL: Final = ("<pad>", "<begin>", "<item>", "<like>", "<dislike>")


@dataclass(frozen=True, eq=False, slots=True)
class Vocabulary:
    """Encode and decode text; ``len(vocabulary)`` is V."""

    tokenizer: Tokenizer

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
        tokenizer.encode_special_tokens = True
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
        tokenizer = Tokenizer.from_str(text)
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def save(self, file: Path) -> None:
        """Write the tokenizer in the format of the `tokenizers` library."""
        self.tokenizer.save(str(file))

    def encode(self, texts: Sequence[str]) -> list[Int32[np.ndarray, " T"]]:
        """Turn each text into token ids."""
        return [np.array(one.ids, np.int32) for one in self.tokenizer.encode_batch(list(texts))]

    def decode(self, tokens: Int32[np.ndarray, " T"]) -> str:
        """Turn token ids back into text, special tokens shown by name."""
        return self.tokenizer.decode(tokens.tolist(), skip_special_tokens=False)
