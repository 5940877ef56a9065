"""Reasons: which past events carried weight, by what an answer loses when it does not see them.

It decides that an event's weight is its *direct* effect: the answer alone is kept from seeing it, while the events
after it were read as they were. Where a candidate is a token or two, many answers that each miss another event are
read in one pass, as leaves of one tree; where candidates are long, one event after the other against the warm trunk.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.context.evidence import Timeline
from recollect.data.catalog import Catalog
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach
from recollect.prompt.packing import pack
from recollect.prompt.prompter import NO_EVENT, Question
from recollect.rank.ranking import Reason

_REASONS: Final = 3
_SHORT: Final = 2  # tokens of a branch up to which many are read at once
_LEAVES: Final = 400  # branches of one pass


def strongest_reasons(
    model: LanguageModel, trunk: TrunkCache, question: Question, *, known: Timeline, catalog: Catalog
) -> list[tuple[Reason, ...]]:
    """Return for each candidate of a question the few events that carried most weight, the heaviest first.

    Parameters
    ----------
    model, trunk, question
        As for `direct_effects`.
    known : Timeline
        The person's events, which the question's trunk shows.
    catalog : Catalog
        Names of items.
    """
    shown = np.flatnonzero(question.events != NO_EVENT)
    count = len(question.branches)
    if not len(shown) or not count:
        return [()] * count
    effect = direct_effects(model, trunk, question, segments=shown)
    strongest = cast(list[list[int]], effect.abs().topk(min(_REASONS, len(shown)), dim=0).indices.T.tolist())
    places = question.events[shown]
    return [
        tuple(_reason(known, int(places[one]), catalog, weight=float(effect[one, number])) for one in those)
        for number, those in enumerate(strongest)
    ]


def direct_effects(
    model: LanguageModel, trunk: TrunkCache, question: Question, *, segments: Int64[np.ndarray, " S"]
) -> Float[Tensor, "S C"]:
    """Return how far the log-odds of each candidate fall if its answer does not see a segment of the trunk.

    Parameters
    ----------
    model : LanguageModel
        Answers.
    trunk : TrunkCache
        The question's trunk, encoded.
    question : Question
        C candidates.
    segments : Int64[S]
        Segments to hide, one at a time.
    """
    whole = log_odds(model, trunk, question.branches)
    if question.branches.tokens.shape[1] <= _SHORT and model.slots_per_question == 1:
        many = max(1, _LEAVES // max(1, len(question.branches)))
        parts = [_at_once(model, question, segments[start : start + many]) for start in range(0, len(segments), many)]
        return whole - torch.cat([torch.zeros(0, len(whole), dtype=torch.float64), *parts])
    return torch.stack([whole - log_odds(model, trunk, question.branches, hidden=int(one)) for one in segments])


def log_odds(
    model: LanguageModel, trunk: TrunkCache, branches: Branches, *, hidden: int | None = None
) -> Float[Tensor, " C"]:
    """Return each candidate's log-odds of a like, with one trunk segment hidden from the answer if asked."""
    sees = np.ones(trunk.segment_count, np.bool_)
    if hidden is not None:
        sees[hidden] = False
    logits = model.score(trunk, branches, sees=sees).double().cpu()
    return logits[:, 1] - logits[:, 0]


def _at_once(model: LanguageModel, question: Question, segments: Int64[np.ndarray, " S"]) -> Float[Tensor, "S C"]:
    """Return the log-odds of all candidates with each segment hidden, in one pass."""
    count, branches = len(question.branches), question.branches
    rows = np.tile(np.arange(count), len(segments))
    repeated = Branches(
        tokens=branches.tokens[rows],
        items=branches.items[rows],
        features=branches.features[rows],
        positions=branches.positions[rows],
        slots=branches.slots[rows],
    )
    tree = attach(question.trunk, repeated)
    sees = tree.sees.copy()
    leaves = question.trunk.segment_count + np.arange(len(rows))
    sees[leaves, np.repeat(segments, count)] = False
    with torch.inference_mode():
        logits = model(pack([replace(tree, sees=sees)])).double().cpu()
    return (logits[:, 1] - logits[:, 0]).view(len(segments), count)


def _reason(known: Timeline, place: int, catalog: Catalog, *, weight: float) -> Reason:
    item = int(known.items[place])
    return Reason(
        item=catalog.ids[item],
        title=catalog.titles[item],
        liked=bool(known.labels[place]),
        weight=weight,
        time=int(known.times[place]),
    )
