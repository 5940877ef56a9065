"""Measuring demonstrations with a tuned model: pools of a person's events become blocks and questions.

What it is: the model behind `recollect.context.effects.DemonstrationMeasure`, for runs of the block layout. It decides
that a demonstration is written exactly as a prompt shows it (its own history, question and answer), and a support query
as it was asked (the history of its moment, then the question); the blocks stand side by side, none sees another
(spec `lrgd`, sections 2.7 and 3.5), behind the beginning that every prompt of the person has. The prompt that is served
shows the chosen ones one after the other.

Dimension letters: N demonstrations of a pool, Q support queries, S sets, A answers, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    layout: BlockLayout
    chooser: BlockChooser
    banks: Banks

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
        bank = self._bank(pool)
        each = gates[:, None, :] * pool.visible
        return predictions(self.banks.model, bank, padded(self.questions(pool), start=bank.next_position), each)

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
