"""The dual model: what attention over demonstrations does, written as one step of gradient descent, and checked.

What it is: `dual_step`, the output of a head after one step of its dual model, and `verify`, which runs a whole model
on dual steps and compares it with itself. A head's dual model is f(z) = W z on features of the softmax kernel; its
initial weights give the output o_0 without demonstrations, its training inputs and targets are the demonstrations' keys
and values. After one step with weight decay the output is (1 - a) o_0 + a o_D, with a the share of attention on the
demonstrations; per demonstration, (1 - sum_j a_j) o_0 + sum_j a_j o_j (spec `lrgd`, section 2.3; after Ren and Liu,
arXiv 2310.13220).

What it decides: this is algebra and holds for any weights, trained or random. It says how demonstrations enter, not
that a model learns from them. Features are never made explicit: log-sum-exps are exact where finitely many features are
not. The demonstrations of the check stand in an ordinary prompt, each one seeing those before it.

Dimension letters: T tokens, R query tokens, H heads, K key/value heads, E width of a head, N demonstrations,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.answer_head import answer_logits
from recollect.model.check import evaluating
from recollect.model.gated_attention import widened
from recollect.model.language_model import LanguageModel
from recollect.model.plan_pass import require_gates, run_rows
from recollect.prompt.branches import Branches

__all__ = ["TOKENS", "Identity", "dual_step", "verify"]

_Part = tuple[Float[Tensor, "B H R E"], Float[Tensor, "B H R"]]  # a softmax over some columns: output, log-sum-exp


@dataclass(frozen=True, slots=True)
class Identity:
    """Hold how far a model and its dual models are apart.

    Parameters
    ----------
    layer_residuals : tuple of float
        For each layer, the largest difference between attention and the dual step at the query's tokens, relative to
        the largest output if that is above 1.
    logits_residual : float
        The same between the model's logits over the vocabulary and those of a pass on dual steps.
    moved : float
        Mean share of attention on the demonstrations over layers, heads and query tokens, 0 to 1.
    icl_gap : float
        Largest difference between logits with and without demonstrations: if it is small, the rest says little.
    """

    layer_residuals: tuple[float, ...]
    logits_residual: float
    moved: float
    icl_gap: float


def dual_step(zero_shot: _Part, demonstrations: Sequence[_Part]) -> tuple[Tensor, Tensor]:
    """Move a head's output from what it is without demonstrations, by one step of its dual model.

    Parameters
    ----------
    zero_shot : (Float[B, H, R, E], Float[B, H, R])
        Output and log-sum-exp over the columns that are there without demonstrations.
    demonstrations : sequence of the same
        Those over the columns of each demonstration.

    Returns
    -------
    tuple of Float[B, H, R, E] and Float[B, H, R]
        The output after the step, and how far it moved: the share of attention on all demonstrations.
    """
    total = torch.stack([zero_shot[1], *(lse for _, lse in demonstrations)]).logsumexp(0)
    shares = [(lse - total).exp() for _, lse in demonstrations]
    moved = torch.stack(shares).sum(0)
    output = (1 - moved).unsqueeze(-1) * zero_shot[0]
    for share, (values, _) in zip(shares, demonstrations, strict=True):
        output = output + share.unsqueeze(-1) * values
    return output, moved


TOKENS: Final = 96
"""Length of the prompt on which a model is compared with its dual models, where it can look so far."""


def verify(model: LanguageModel, *, tokens: int = TOKENS, demonstrations: int = 4, seed: int = 0) -> Identity:
    """Compare a model with its dual models on a prompt of random tokens.

    The first quarter of the prompt is the instruction, the middle half the demonstrations, the last quarter the query.

    Parameters
    ----------
    model
        Any language model whose attention can be plugged.
    tokens
        T, length of the prompt.
    demonstrations
        N, into which the middle is divided.
    seed
        Of the tokens.

    Raises
    ------
    ModelError
        If attention takes no plan, or the prompt is too short for so many demonstrations or too long for the backbone.
    """
    require_gates(model)
    cuts = _cuts(tokens, demonstrations)
    ids = np.random.default_rng(seed).integers(0, _vocabulary(model), tokens)
    dual, without = _DualPlan(cuts), _DualPlan(cuts, shown=False)
    with torch.inference_mode(), evaluating(model):
        own = _own_logits(model, ids)[cuts[-1] :]
        stepped = _logits(model, ids, dual)[cuts[-1] :]
        zero_shot = _logits(model, ids, without)[cuts[-1] :]
    return Identity(
        layer_residuals=tuple(dual.residuals),
        logits_residual=_apart(stepped, own),
        moved=float(np.mean(dual.moved)),
        icl_gap=float((own - zero_shot).abs().max()),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _DualPlan:
    """Attend by dual steps at the query's tokens, and ordinarily before; note how far both are apart.

    Parameters
    ----------
    cuts
        Ends of the instruction and of each demonstration; the query comes after the last.
    shown
        Whether the query sees demonstrations.
    residuals, moved
        Found in each layer.
    """

    cuts: tuple[int, ...]
    shown: bool = True
    residuals: list[float] = field(default_factory=list[float])
    moved: list[float] = field(default_factory=list[float])

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Float[Tensor, "B H T E"]:
        """Attend in one layer."""
        del layer  # layers come in their order
        scores = _causal_scores(widened(query), widened(key), scaling=scaling, softcap=softcap)
        values = _per_head(widened(value), query.shape[1])
        ordinary = scores.softmax(-1) @ values
        first, last = self.cuts[0], self.cuts[-1]
        asked, columns = scores[:, :, last:], np.arange(query.shape[2])
        parts = [_part(asked, values, columns[start:end]) for start, end in pairwise(self.cuts)]
        zero_shot = _part(asked, values, np.r_[columns[:first], columns[last:]])
        output, moved = dual_step(zero_shot, parts) if self.shown else (zero_shot[0], zero_shot[1] * 0)
        self.residuals.append(_apart(output, ordinary[:, :, last:]))
        self.moved.append(float(moved.mean()))
        return torch.cat([ordinary[:, :, :last], output], dim=2).to(query.dtype)


def _cuts(tokens: int, demonstrations: int) -> tuple[int, ...]:
    """Divide a prompt: the end of the instruction, then of each demonstration.

    Raises
    ------
    ModelError
        If there are too few tokens.
    """
    quarter = tokens // 4
    if demonstrations < 1 or quarter < 1 or tokens - 2 * quarter < demonstrations:
        raise ModelError(
            what="a prompt is too short to be divided",
            got=f"{tokens} tokens for {demonstrations} demonstrations",
            expected="one demonstration or more, and at least one token for each in the middle half",
            do="ask for more tokens or fewer demonstrations",
        )
    return tuple(np.linspace(quarter, tokens - quarter, demonstrations + 1).astype(int).tolist())


def _causal_scores(query: Tensor, key: Tensor, *, scaling: float, softcap: float | None) -> Float[Tensor, "B H T T"]:
    """Compute all scores of a prompt; what lies ahead gets minus infinity."""
    scores = query @ _per_head(key, query.shape[1]).mT * scaling
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(ahead, float("-inf"))


def _part(
    scores: Float[Tensor, "B H R T"], values: Float[Tensor, "B H T E"], columns: Int64[np.ndarray, " C"]
) -> _Part:
    """Attend to some columns only."""
    index = torch.from_numpy(columns).to(scores.device)
    some = scores.index_select(-1, index)
    return some.softmax(-1) @ values.index_select(-2, index), some.logsumexp(-1)


def _per_head(states: Float[Tensor, "B K T E"], heads: int) -> Float[Tensor, "B H T E"]:
    return states.repeat_interleave(heads // states.shape[1], 1)


def _own_logits(model: LanguageModel, ids: Int64[np.ndarray, " T"]) -> Float[Tensor, "T V"]:
    """Ask the model itself."""
    asked = torch.from_numpy(ids)[None].to(model.device)
    return cast(Tensor, model.causal(input_ids=asked, use_cache=False).logits)[0].float()


def _logits(model: LanguageModel, ids: Int64[np.ndarray, " T"], plan: _DualPlan) -> Float[Tensor, "T V"]:
    """Ask the model with another attention."""
    hidden = run_rows(model, Branches.of(ids[None].astype(np.int32), start=0), plan)[0]
    return answer_logits(model.causal, hidden, torch.arange(_vocabulary(model), device=model.device))


def _vocabulary(model: LanguageModel) -> int:
    return cast(torch.nn.Embedding, model.causal.get_input_embeddings()).num_embeddings


def _apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference, relative to the larger values where they exceed 1."""
    return float((one - other).abs().max()) / max(1.0, float(other.abs().max()))
