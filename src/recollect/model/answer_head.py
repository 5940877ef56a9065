"""The answer head: from hidden states at answer slots to what the model says about the answers.

What it is: answer logits, from the rows of the output layer that stand for answers and nothing else of it; and
log-probabilities, where the whole vocabulary must be asked because an answer has several tokens.

What it decides: a product with A rows instead of V, always in float32, because ten thousand candidates need more
digits than bfloat16 has. Log-probabilities are computed some slots at a time, and again in the backward pass, so that
no more than a few rows of V numbers are ever kept. What a family does to its logits afterwards is read from its
configuration; the check at load time (`recollect.model.check`) compares with the family's own output, so an unknown
treatment is noticed, not ignored.

Dimension letters: S slots, Q questions, k slots of a question, A answers, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, cast

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]
from transformers import PreTrainedModel

__all__ = ["answer_log_probs", "answer_logits", "learns_in_one_table", "text_answer_logits"]

_SLOTS_AT_ONCE = 256
_computed_again = cast(Callable[..., Tensor], checkpoint)  # in the backward pass; its types are unknown


def learns_in_one_table(causal: PreTrainedModel, answers: Int[Tensor, " A"]) -> bool:
    """Tell whether a gradient is asked for, and input vectors and rows of the output layer are the same weights.

    Parameters
    ----------
    causal
        The language model.
    answers
        Token ids whose rows are asked.
    """
    table, head = causal.get_input_embeddings(), cast(nn.Module, causal.get_output_embeddings())
    if type(table) is not nn.Embedding or type(head) is not nn.Linear or head.weight is not table.weight:
        return False
    lookups_learn = table.padding_idx is None or table.padding_idx not in answers.tolist()
    return torch.is_grad_enabled() and table.weight.requires_grad and lookups_learn


def answer_logits(
    causal: PreTrainedModel,
    hidden: Float[Tensor, "S D"],
    answers: Int[Tensor, " A"],
    *,
    rows: Float[Tensor, "A D"] | None = None,
) -> Float[Tensor, "S A"]:
    """Compute the logits of the answer tokens only.

    Parameters
    ----------
    causal
        The language model whose output layer is used.
    hidden
        Last hidden states at the answer slots.
    answers
        Token id of each answer.
    rows
        Their rows of the output layer, where these were looked up already.
    """
    return _logits(causal, hidden, answers, weight=rows)


def answer_log_probs(
    causal: PreTrainedModel, hidden: Float[Tensor, "S D"], tokens: Int[Tensor, "S A"]
) -> Float[Tensor, "S A"]:
    """Compute the log-probability, over the whole vocabulary, of some tokens at each slot.

    Parameters
    ----------
    causal
        The language model whose output layer is used.
    hidden
        Last hidden states at the slots.
    tokens
        Token ids asked for at each slot.
    """
    parts: list[Tensor] = []
    for start in range(0, max(1, len(hidden)), _SLOTS_AT_ONCE):
        part = (causal, hidden[start : start + _SLOTS_AT_ONCE], tokens[start : start + _SLOTS_AT_ONCE])
        again = torch.is_grad_enabled()
        parts.append(_computed_again(_log_probs, *part, use_reentrant=False) if again else _log_probs(*part))
    return torch.cat(parts)


def text_answer_logits(
    causal: PreTrainedModel,
    states: Float[Tensor, "Q k D"],
    answers: Int[Tensor, " A"],
    *,
    later: Sequence[Sequence[int]],
) -> Float[Tensor, "Q A"]:
    """Compute the log-probability of each whole answer: the sum over its tokens.

    Parameters
    ----------
    causal
        The language model whose output layer is used.
    states
        Last hidden states of each question: where it ends, then where the later tokens of each answer are read.
    answers
        Token id of the first token of each answer.
    later
        Its other tokens.
    """
    count = len(states)
    first = answer_log_probs(causal, states[:, 0], answers.expand(count, -1))
    tokens = torch.tensor([token for one in later for token in one], device=states.device)
    rest = answer_log_probs(causal, states[:, 1:].flatten(0, 1), tokens.repeat(count)[:, None]).view(count, -1)
    ends = list(accumulate(map(len, later)))
    sums = [rest[:, end - len(one) : end].sum(1) for one, end in zip(later, ends, strict=True)]
    return first + torch.stack(sums, dim=1)


def _log_probs(
    causal: PreTrainedModel, hidden: Float[Tensor, "S D"], tokens: Int[Tensor, "S A"]
) -> Float[Tensor, "S A"]:
    logits = _logits(causal, hidden, slice(None))
    return logits.gather(1, tokens) - logits.logsumexp(1, keepdim=True)


def _logits(
    causal: PreTrainedModel,
    hidden: Float[Tensor, "S D"],
    rows: Int[Tensor, " A"] | slice,
    *,
    weight: Float[Tensor, "A D"] | None = None,
) -> Float[Tensor, "S _"]:
    """Compute some rows of the output layer in float32."""
    head = cast(nn.Module, causal.get_output_embeddings())
    with torch.autocast(hidden.device.type, enabled=False):
        if type(head) is nn.Linear:
            bias = cast(Tensor | None, head.bias)
            bias = None if bias is None else bias[rows].float()
            weight = head.weight[rows] if weight is None else weight
            logits = functional.linear(hidden.float(), weight.float(), bias)
        else:
            logits = cast(Tensor, head(hidden.to(causal.dtype)))[:, rows].float()
        return _finished(logits, causal.config.get_text_config())


def _finished(logits: Float[Tensor, "S A"], config: Any) -> Float[Tensor, "S A"]:
    """Scale and cap logits as the configuration says."""
    multiplier, divisor = getattr(config, "logit_scale", None), getattr(config, "logits_scaling", None)
    cap = getattr(config, "final_logit_softcapping", None)
    if multiplier is not None:
        logits = logits * multiplier
    if divisor is not None:
        logits = logits / divisor
    return logits if cap is None else cap * torch.tanh(logits / cap)
