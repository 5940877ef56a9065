"""The answer head: the rows of the output layer that stand for answers, and nothing else of it.

What it is: one function from hidden states at answer slots to answer logits.

What it decides: a product with A rows instead of V, always in float32, because ten thousand candidates need more
digits than bfloat16 has. What a family does to its logits afterwards is read from its configuration; the check at load
time (`recollect.model.check`) compares with the family's own output, so an unknown treatment is noticed, not ignored.

Dimension letters: S slots, A answers, D width.
"""

from typing import Any, cast

import torch
import torch.nn.functional as functional
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

__all__ = ["answer_logits"]


def answer_logits(
    causal: PreTrainedModel, hidden: Float[Tensor, "S D"], answers: Int[Tensor, " A"]
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
    """
    head = cast(torch.nn.Module, causal.get_output_embeddings())
    with torch.autocast(hidden.device.type, enabled=False):
        if type(head) is torch.nn.Linear:
            bias = cast(Tensor | None, head.bias)
            bias = None if bias is None else bias[answers].float()
            logits = functional.linear(hidden.float(), head.weight[answers].float(), bias)
        else:
            logits = cast(Tensor, head(hidden.to(causal.dtype)))[:, answers].float()
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
