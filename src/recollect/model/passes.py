"""What every forward pass over a backbone needs: input vectors, positions within its reach, masks, and its body.

What it decides: the output layer is never run here. A pass with a plan gets a mask of one number, which keeps
`transformers` from building one of its own.

Dimension letters: B rows, T tokens, F features, D width, Q queries, K keys.
"""

from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64
from torch import Tensor, nn
from transformers import PreTrainedModel

from recollect.errors import ModelError
from recollect.model.attention import PLAN, AttentionPlan

__all__ = ["added_mask", "embed_tokens", "reachable_positions", "run_body", "to_device"]


def embed_tokens(
    causal: PreTrainedModel,
    channel: nn.Module | None,
    *,
    tokens: Int32[np.ndarray, "B T"],
    items: Int32[np.ndarray, "B T"],
    features: Float32[np.ndarray, "B T F"],
) -> Float[Tensor, "B T D"]:
    """Look up input vectors, and let the item channel give those of soft tokens.

    Raises
    ------
    ModelError
        If there are soft tokens without an item channel.
    """
    table = cast(nn.Embedding, causal.get_input_embeddings())
    device = table.weight.device
    embedded = cast(Tensor, table(to_device(tokens, device)))
    where = np.flatnonzero(items >= 0)
    if where.size == 0:
        return embedded
    if channel is None:
        raise ModelError(
            what="the prompt holds soft item tokens, but the model has no item channel",
            got=f"{where.size} soft tokens",
            expected="text tokens only",
            do="give the language model an item channel, or choose a layout that prints titles",
        )
    flat, index = embedded.flatten(0, 1), to_device(where, device)
    codes = to_device(items.reshape(-1)[where], device)
    numbers = to_device(features.reshape(items.size, features.shape[-1])[where], device).to(flat.dtype)
    soft = cast(Tensor, channel(codes, numbers, flat[index]))
    return flat.index_copy(0, index, soft.to(flat.dtype)).view_as(embedded)


def run_body(
    causal: PreTrainedModel,
    embedded: Float[Tensor, "B T D"],
    positions: Int64[Tensor, "#B T"],
    *,
    mask: Tensor | None = None,
    plan: AttentionPlan | None = None,
) -> Float[Tensor, "B T D"]:
    """Run a backbone without its output layer, under a mask or a plan."""
    output = causal.base_model(
        inputs_embeds=embedded,
        attention_mask=embedded.new_zeros((1, 1, 1, 1)) if mask is None else mask,
        position_ids=positions,
        use_cache=False,
        **({} if plan is None else {PLAN: plan}),
    )
    return cast(Tensor, output.last_hidden_state)


def reachable_positions(
    positions: Int32[np.ndarray, "#B T"], *, limit: int, device: torch.device
) -> Int64[Tensor, "#B T"]:
    """Bring positions to a device.

    Raises
    ------
    ModelError
        If one lies farther than the backbone can look.
    """
    farthest = int(positions.max(initial=0))
    if farthest >= limit:
        raise ModelError(
            what="a prompt reaches farther than the backbone can look",
            got=f"position {farthest}",
            expected=f"positions below {limit}",
            do="show fewer events, or choose a backbone with a longer context",
        )
    return to_device(positions, device).long()


def added_mask(
    seen: Bool[np.ndarray, "*B Q K"], *, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "*B Q K"]:
    """Turn visibility into numbers that are added to attention scores."""
    hidden = ~to_device(seen, device)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(hidden, torch.finfo(dtype).min)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Bring an array to a device; one that must not be written is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)
