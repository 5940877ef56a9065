"""Measuring demonstrations: what a set of them makes a model answer, and what each one does to the loss.

What it is: `predictions` under gates, for exact effects; `effects`, all of them by one forward and one backward pass.
The effect of a demonstration is minus the derivative of a query's loss by the logarithm of a gate on its attention
columns (our own definition; the idea of reading demonstrations as training examples of a dual model is that of Xu et
al., arXiv 2504.04386; spec `lrgd`, section 3).

What it decides: gates stand at all tokens of a query, one row of gates per query, so one pass gives the effect of every
demonstration on every query. Weights are frozen; nothing but gates asks for a gradient. Queries run some at a time,
which bounds memory and changes no answer, and blocks that nobody in a chunk sees are left out. Losses are over the
answers, not the vocabulary.

Dimension letters: N demonstrations, Q queries, S sets, A answers, R rows (a query under a set), L tokens of a query,
P tokens of the bank.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from recollect.context.effects import Effects
from recollect.errors import ModelError
from recollect.model.answer_head import answer_logits
from recollect.model.check import evaluating
from recollect.model.demonstration_bank import Bank, Banks
from recollect.model.gated_attention import GatedPlan, HeadReadings
from recollect.model.language_model import LanguageModel
from recollect.model.plan_pass import require_gates, run_rows
from recollect.prompt.branches import Branches

__all__ = ["Bank", "Banks", "effects", "predictions"]

_TOKENS: Final = 2048  # of queries run together
_BIASES: Final = 2**25  # numbers of a mask, one per query token and column
_DEEPEST: Final = -9.0  # logarithm of the gates where a path begins: as good as without demonstrations


def predictions(
    model: LanguageModel, bank: Bank, queries: Branches, gates: Float64[np.ndarray, "S Q N"]
) -> Float64[np.ndarray, "S Q A"]:
    """Compute the log-probability of each answer to each query under each set of gates, normalised over the answers.

    Parameters
    ----------
    model
        The model that encoded the bank.
    bank
        The demonstrations.
    queries
        Q branches that start at `bank.next_position`.
    gates
        0 hides a demonstration from a query, 1 shows it, t weighs it t times.

    Raises
    ------
    ModelError
        If gates do not fit or are below 0, queries start elsewhere, attention takes no gates, an answer has several
        tokens, or a query reaches farther than the backbone can look.
    """
    _check(model, bank, queries, gates)
    sets, count = gates.shape[:2]
    flat = gates.reshape(sets * count, -1)
    found = np.zeros((sets * count, len(model.answers)))
    with torch.inference_mode(mode=False), torch.no_grad(), evaluating(model):
        for rows in _chunks(sets * count, queries, bank):
            part = _rows(queries, rows % count)
            seen = np.flatnonzero((flat[rows] > 0).any(axis=0))
            shown = bank if len(seen) == len(bank) else bank.take(seen)
            plan = _plan(shown, _log_gates(flat[np.ix_(rows, seen)], shown), part)
            found[rows] = _log_probabilities(model, part, plan).numpy(force=True)
    return found.reshape(sets, count, -1)


def effects(
    model: LanguageModel,
    bank: Bank,
    queries: Branches,
    labels: Int64[np.ndarray, " Q"],
    *,
    gates: Float64[np.ndarray, "Q N"],
) -> Effects:
    """Measure all demonstrations at once, by one forward and one backward pass.

    Parameters
    ----------
    model, bank, queries
        As in `predictions`.
    labels
        Number of each query's true answer.
    gates
        The point at which the derivative is taken; 0 hides a demonstration from a query.

    Raises
    ------
    ModelError
        As `predictions`.
    """
    _check(model, bank, queries, gates[None])
    loss, effect, share = np.zeros(len(queries)), np.zeros(gates.shape), np.zeros(gates.shape)
    gram = np.zeros((len(bank), len(bank)))
    columns = torch.from_numpy(bank.columns()).to(model.device)
    with torch.inference_mode(mode=False), torch.enable_grad(), evaluating(model):
        for rows in _chunks(len(queries), queries, bank):
            part = _rows(queries, rows)
            readings = HeadReadings(torch.from_numpy(part.slots.astype(np.int64)).to(model.device), columns)
            leaf = _log_gates(gates[rows], bank).requires_grad_()
            found = _log_probabilities(model, part, _plan(bank, leaf, part, readings))
            true = torch.from_numpy(labels[rows]).to(model.device)
            losses = -found.gather(1, true[:, None])[:, 0]
            (slope,) = torch.autograd.grad(losses.sum(), leaf)
            loss[rows], effect[rows] = losses.numpy(force=True), -slope.numpy(force=True)
            share[rows] = (readings.share / max(1, readings.heads)).numpy(force=True)
            gram += readings.gram.numpy(force=True)
    return Effects(loss, np.where(gates > 0, effect, 0.0), share, _cosines(gram))


def _chunks(count: int, queries: Branches, bank: Bank) -> Iterator[Int64[np.ndarray, " R"]]:
    """Cut rows so that tokens and masks of a pass stay bounded."""
    length = max(1, queries.tokens.shape[1])
    columns = max(1, bank.start + int(bank.lengths.sum()))
    size = max(1, min(_TOKENS // length, _BIASES // (length * columns)))
    cuts = [*range(0, count, size), count]
    return (np.arange(start, end) for start, end in pairwise(cuts))


def _rows(queries: Branches, rows: Int64[np.ndarray, " R"]) -> Branches:
    return Branches(
        tokens=queries.tokens[rows],
        items=queries.items[rows],
        features=queries.features[rows],
        positions=queries.positions[rows],
        slots=queries.slots[rows],
    )


def _log_gates(gates: Float64[np.ndarray, "R N"], bank: Bank) -> Float[Tensor, "R N"]:
    """Take logarithms in the type of the bank; a gate of 0 becomes the least value of that type."""
    like = bank.keys[0]
    least = torch.finfo(like.dtype).min
    logs = np.log(gates, where=gates > 0, out=np.full(gates.shape, float(least)))
    return torch.from_numpy(logs).to(device=like.device, dtype=like.dtype)


def _plan(bank: Bank, logs: Float[Tensor, "R N"], rows: Branches, readings: HeadReadings | None = None) -> GatedPlan:
    """Spread log gates over the columns of their blocks; the start has none."""
    blocks = torch.from_numpy(bank.blocks()).to(logs.device)
    bias = torch.cat([logs, logs.new_zeros(len(logs), 1)], dim=1)[:, blocks]
    return GatedPlan.of(bank.keys, bank.values, bias=bias, length=rows.tokens.shape[1], readings=readings)


def _log_probabilities(model: LanguageModel, rows: Branches, plan: GatedPlan) -> Float[Tensor, "R A"]:
    """Run rows and read their answers."""
    hidden = run_rows(model, rows, plan)
    slots = torch.from_numpy(rows.slots.astype(np.int64)).to(hidden.device)
    states = hidden[torch.arange(len(rows), device=hidden.device), slots]
    return answer_logits(model.causal, states, model.answers).double().log_softmax(-1)


def _cosines(gram: Float64[np.ndarray, "N N"]) -> Float64[np.ndarray, "N N"]:
    """Divide a Gram matrix by the lengths; what adds nothing is like nothing but itself."""
    lengths = np.sqrt(np.diag(gram))
    scale = np.outer(lengths, lengths)
    cosines = np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0).clip(-1, 1)
    np.fill_diagonal(cosines, 1.0)
    return cosines


def _check(model: LanguageModel, bank: Bank, queries: Branches, gates: Float64[np.ndarray, "S Q N"]) -> None:
    """Check that everything fits.

    Raises
    ------
    ModelError
        If not.
    """
    require_gates(model)
    if model.slots_per_question > 1:
        raise ModelError(
            what="demonstration effects need answers of one token",
            got=f"answers of {[len(one) for one in model.answer_tokens.tokens]} tokens",
            expected="one token each",
            do="choose answer words that the tokenizer keeps whole",
        )
    if gates.shape[1:] != (len(queries), len(bank)) or not (gates >= 0).all():
        raise ModelError(
            what="gates do not fit queries and demonstrations",
            got=f"shape {gates.shape}, least {gates.min(initial=0.0)}",
            expected=f"(sets, {len(queries)}, {len(bank)}), none below 0",
            do="give one gate per set, query and demonstration; 0 hides it",
        )
    if (queries.positions[:, :1] != bank.next_position).any():
        raise ModelError(
            what="queries do not begin where the longest demonstration ends",
            got=f"positions from {int(queries.positions.min(initial=0))}",
            expected=f"from {bank.next_position}",
            do="make them with Branches.of(tokens, start=bank.next_position)",
        )
