"""Exact losses in the prompt that is served: chosen demonstrations one after the other, then the question.

What it is: the second measure of a set. `recollect.run.effects` measures on blocks that do not see each other; here
every demonstration sees those before it, as in an ordinary prompt, so a set must be encoded anew for every set. It is
the audit of what is measured side by side (spec `lrgd`, section 3.5, modes, and section 13, question 2).

Dimension letters: N demonstrations of a pool, Q support queries, S sets, A answers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from recollect.context.effects import Pool
from recollect.model.cache import TrunkCache
from recollect.prompt.block_writer import chained
from recollect.prompt.chain import join_links
from recollect.run.effects import BlockMeasure, padded


@dataclass(frozen=True, eq=False, slots=True)
class ServedMeasure:
    """Measure sets in the layout that is served.

    Parameters
    ----------
    measure : BlockMeasure
        Writes the demonstrations and questions, and holds the model.
    """

    measure: BlockMeasure

    def predictions(self, pool: Pool, sets: Bool[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        """Return the log-probability of each answer to each query under each set, normalised over the answers.

        Parameters
        ----------
        pool : Pool
            Demonstrations and queries; a query is shown those of a set that it may see, oldest first.
        sets : Bool[S, N]
            Which demonstrations are shown.

        Raises
        ------
        ModelError
            If a prompt reaches farther than the backbone can look.
        """
        model, questions = self.measure.banks.model, self.measure.questions(pool)
        start, blocks = self.measure.layout.start(pool.line.user), self.measure.blocks(pool)
        found = np.zeros((len(sets), len(questions), len(model.answers)))
        for shown, asked in _prompts(pool, sets).items():
            trunk = join_links(chained([start, *(blocks[one] for one in shown)]))
            cache = model.append(TrunkCache.empty(), trunk)
            queries = sorted({query for _, query in asked})
            branches = padded([questions[query] for query in queries], start=len(trunk))
            logits = model.score(cache, branches).double().cpu()
            answers = dict(zip(queries, torch.log_softmax(logits, -1).numpy(), strict=True))
            for one, query in asked:
                found[one, query] = answers[query]
        return found


def _prompts(pool: Pool, sets: Bool[np.ndarray, "S N"]) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """Group sets and queries by the demonstrations that are shown."""
    grouped: defaultdict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for one, shown in enumerate(sets):
        for query, visible in enumerate(pool.visible):
            grouped[tuple(np.flatnonzero(shown & visible).tolist())].append((one, query))
    return grouped
