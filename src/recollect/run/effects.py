"""Measuring demonstrations with a tuned model: pools of a person's events become blocks and questions.

What it is: the model behind `recollect.context.effects.DemonstrationMeasure`, for runs of the block layout. It decides
that a demonstration is written exactly as a prompt shows it (its own history, question and answer), and a support query
as it was asked (the history of its moment, then the question); the blocks stand side by side, none sees another
(spec `lrgd`, sections 2.7 and 3.5), behind the beginning that every prompt of the person has. The prompt that is served
shows the chosen ones one after the other.

Dimension letters: N demonstrations of a pool, Q support queries, S sets, R rows (a query under a set), A answers,
T tokens.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
from jaxtyping import Float64, Int32, Int64

from recollect.context.block_evidence import BlockChooser
from recollect.context.demonstrations import DemonstrationSettings, MeasuredChoice
from recollect.context.effect_choice import OptimisedChoice, RerankedChoice
from recollect.context.effect_stages import Optimiser
from recollect.context.effects import DemonstrationMeasure, Effects, EffectSettings, Pool, Served
from recollect.context.retrieval import Neighbours
from recollect.model.demonstrations import Bank, Banks, effects, predictions
from recollect.prompt.block import BlockLayout
from recollect.prompt.branches import Branches
from recollect.run.tuned import TunedModel

_REMEMBERED: Final = 16_384  # answers


class Answered:
    """Keep the latest answers by a digest of all that determines them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Float64[np.ndarray, " A"]] = OrderedDict()
        self._lock = Lock()  # several questions may be asked at once

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, names: Sequence[bytes]) -> dict[bytes, Float64[np.ndarray, " A"]]:
        """Return the answers that are kept."""
        with self._lock:
            return {name: self._kept[name] for name in names if name in self._kept}

    def remember(self, answers: dict[bytes, Float64[np.ndarray, " A"]]) -> None:
        """Keep some answers, and forget the oldest."""
        with self._lock:
            for name, answer in answers.items():
                self._kept[name] = answer
                self._kept.move_to_end(name)
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)


@dataclass(frozen=True, eq=False, slots=True)
class BlockMeasure:
    """Measure demonstrations of the block layout; satisfies `recollect.context.effects.DemonstrationMeasure`.

    Parameters
    ----------
    layout : BlockLayout
        Gives the tokens.
    chooser : BlockChooser
        Chooses the history of each event.
    banks : Banks
        Keeps what the model has encoded.
    asked : Answered
        Remembers answers: most questions of a moment were asked at the moment before, and a candidate that a question
        may not see changes nothing about it.
    """

    layout: BlockLayout
    chooser: BlockChooser
    banks: Banks
    asked: Answered = field(default_factory=Answered)

    @classmethod
    def of(cls, tuned: TunedModel, layout: BlockLayout, chooser: BlockChooser) -> BlockMeasure:
        """Make the measure of a tuned model.

        Parameters
        ----------
        tuned : TunedModel
            The model; what is encoded is known by the digest of its weights.
        layout, chooser : BlockLayout, BlockChooser
            As in the class.
        """
        digest = tuned.card.get("digest")
        revision = digest if isinstance(digest, str) else tuned.digest()
        return cls(layout, chooser, Banks(tuned.language_model, revision=revision))

    def tokens(self, pool: Pool) -> Int64[np.ndarray, " N"]:
        """Return the tokens that each candidate costs in a prompt."""
        return np.array([len(tokens) for tokens in self.blocks(pool)], np.int64)

    def predictions(self, pool: Pool, gates: Float64[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        """Return the log-probability of each answer to each query under each set.

        Raises
        ------
        ModelError
            If the model's attention takes no gates, or its answers have several tokens.
        """
        sets, count = len(gates), len(pool.support)
        rows = (gates[:, None, :] * pool.visible).reshape(sets * count, -1)
        texts = self.questions(pool) * sets
        names = self._names(pool, texts, rows)
        known = self.asked.recall(names)
        fresh = {name: row for row, name in enumerate(names) if name not in known}
        if fresh:
            bank, wanted = self._bank(pool), list(fresh.values())
            queries = padded([texts[row] for row in wanted], start=bank.next_position)
            known |= zip(fresh, predictions(self.banks.model, bank, queries, rows[None, wanted])[0], strict=True)
        self.asked.remember(known)
        return np.stack([known[name] for name in names]).reshape(sets, count, -1)

    def _names(self, pool: Pool, texts: list[Int32[np.ndarray, "_"]], rows: Float64[np.ndarray, "R N"]) -> list[bytes]:
        """Digest what determines each answer: beginning, question, where that begins, and what it is shown."""
        blocks = self.blocks(pool)
        begins = _digest(max(map(len, blocks)).to_bytes(8), self.layout.start(pool.line.user).tobytes())
        written = np.stack([np.frombuffer(_digest(block.tobytes()), np.uint8) for block in blocks])
        return [
            _digest(begins, _digest(text.tobytes()), written[row > 0].tobytes(), row[row > 0].tobytes())
            for text, row in zip(texts, rows, strict=True)
        ]

    def effects(self, pool: Pool, gates: Float64[np.ndarray, " N"]) -> Effects:
        """Measure all candidates at once.

        Raises
        ------
        ModelError
            As `predictions`.
        """
        bank = self._bank(pool)
        queries = padded(self.questions(pool), start=bank.next_position)
        return effects(self.banks.model, bank, queries, pool.labels, gates=gates[None] * pool.visible)

    def _bank(self, pool: Pool) -> Bank:
        return self.banks.bank(self.layout.start(pool.line.user), self.blocks(pool))

    def blocks(self, pool: Pool) -> list[Int32[np.ndarray, "_"]]:
        """Write each candidate as a solved question; a number, where blocks have one, is its place in the pool."""
        line, layout = pool.line, self.layout
        blocks: list[Int32[np.ndarray, "_"]] = []
        for number, event in enumerate(pool.demonstrations.tolist(), start=1):
            shown = self.chooser.shown(line, event)
            body = layout.body(line, shown.history, item=int(line.items[event]))
            answer = layout.answer(bool(line.labels[event]))
            blocks.append(np.concatenate([layout.number(number), body, layout.mark, answer]))
        return blocks

    def questions(self, pool: Pool) -> list[Int32[np.ndarray, "_"]]:
        """Write each support query as it was asked: the history of its moment, then the question."""
        line, layout = pool.line, self.layout
        texts: list[Int32[np.ndarray, "_"]] = []
        for event in pool.support.tolist():
            history = layout.history(line, self.chooser.shown(line, event).history)
            number = layout.number(len(pool) + 1)
            shown = [tokens for _, tokens in history]
            texts.append(np.concatenate([number, *shown, layout.question(int(line.items[event])), layout.ask]))
        return texts


def measured_choice(
    measure: DemonstrationMeasure,
    settings: DemonstrationSettings,
    effects: EffectSettings,
    *,
    neighbours: Neighbours,
    served: Served,
) -> MeasuredChoice:
    """Make what chooses demonstrations by their effect.

    Parameters
    ----------
    measure : DemonstrationMeasure
        Asks the model.
    settings : DemonstrationSettings
        Which of the two ways, and how many are shown.
    effects : EffectSettings
        How they are chosen.
    neighbours : Neighbours
        Measures nearness.
    served : callable
        Asks with sets in the prompt that is served.
    """
    if settings.choice == "rerank":
        return RerankedChoice(measure, settings, effects, neighbours)
    return OptimisedChoice(Optimiser(measure, effects, count=settings.count, served=served))


def padded(texts: Sequence[Int32[np.ndarray, "_"]], *, start: int) -> Branches:
    """Pad questions on the right, as branches from a position on; each is asked at its own last token."""
    lengths = np.array([len(tokens) for tokens in texts], np.int32)
    inside = np.arange(int(lengths.max(initial=1))) < lengths[:, None]
    tokens = np.zeros(inside.shape, np.int32)
    tokens[inside] = np.concatenate(list(texts))
    return Branches.of(tokens, start=start, slots=lengths - np.int32(1))


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()
