"""The check at load time: does this backbone do what prompt trees need?

What it is: a few forward passes over three tokens, compared with each other.

What it decides: abilities are observed, not looked up in a list of families. A backbone must obey a four-dimensional
mask and given positions, and the answer head must agree with the family's own output; otherwise it is refused. If every
layer also calls the registered attention function with its plan, the trunk cache and the cascade can be used.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from recollect.errors import ModelError
from recollect.model.answer_head import answer_logits
from recollect.model.attention import IMPLEMENTATION, PLAN, attend

__all__ = ["evaluating", "plug_attention", "repeats_hidden_states", "require_tree_support", "span_limit"]

_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
_NO_TREES = {
    "what": "this backbone does not obey the mask of a prompt tree",
    "expected": "attention in every layer that takes a four-dimensional mask and position ids",
    "do": "choose a decoder with full attention, such as Llama, Qwen3, Mistral, Gemma or GPT-2",
}
_REFUSALS = (RuntimeError, TypeError, ValueError)  # what families raise at inputs that they do not take
_ROUGH = 5e-2  # of narrower types, relative to the size of what is compared


@dataclass(slots=True)
class _Listener:
    """Note which layers ask for attention."""

    layers: set[int] = field(default_factory=set[int])

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, softcap: float | None
    ) -> Tensor:
        self.layers.add(layer)
        return attend(query, key, value, causal=True, scaling=scaling, softcap=softcap)


def plug_attention(causal: PreTrainedModel) -> bool:
    """Set our attention function on a model if all its layers call it; leave the model as it was if not.

    Parameters
    ----------
    causal
        Any causal language model of `transformers`.

    Returns
    -------
    bool
        Whether attention plans reach every layer.
    """
    model = cast(Any, causal)  # transformers offers no public reader of these two
    before = model.config._attn_implementation  # noqa: SLF001
    if not model._can_set_attn_implementation():  # noqa: SLF001
        return False
    causal.set_attn_implementation(IMPLEMENTATION)
    listener = _Listener()
    try:
        _hidden(causal, [0, 1], positions=[0, 1], plan=listener)
    except (ModelError, *_REFUSALS):
        listener.layers.clear()
    if listener.layers == set(range(causal.config.get_text_config().num_hidden_layers)):
        return True
    causal.set_attn_implementation(before)
    return False


def require_tree_support(causal: PreTrainedModel, answers: Tensor) -> None:
    """Check that masks and positions are obeyed and that the answer head is the family's own.

    Parameters
    ----------
    causal
        Any causal language model of `transformers`.
    answers
        Token id of each answer.

    Raises
    ------
    ModelError
        If this backbone cannot show prompt trees.
    """
    mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    try:
        alone = _hidden(causal, [0, 2], positions=[0, 1])
        packed = _hidden(causal, [0, 1, 2], positions=[0, 1, 1], mask=mask)
    except _REFUSALS as error:
        raise ModelError(**_NO_TREES, got=f"{type(causal).__name__}, which says: {error}") from error
    if not _close(alone[-1], packed[-1]):
        raise ModelError(**_NO_TREES, got=f"{type(causal).__name__}, which a token that it must not see changes")
    ids = torch.tensor([[0, 2]], device=answers.device)
    with torch.inference_mode(), evaluating(causal):
        own = answer_logits(causal, alone, answers)
        stock = cast(Tensor, causal(input_ids=ids, use_cache=False).logits)[0, :, answers]
    if not _close(stock, own):
        raise ModelError(
            what="the answer head disagrees with the backbone's own output",
            got=f"a difference of {float((stock - own).abs().max()):.2g} for {type(causal).__name__}",
            expected="the same logits",
            do="choose another backbone, or report which family treats its logits in a new way",
        )


def repeats_hidden_states(causal: PreTrainedModel, states: Callable[[Tensor], Tensor]) -> bool:
    """Tell whether another forward pass computes the hidden states that a backbone computes itself.

    Parameters
    ----------
    causal
        Any causal language model of `transformers`.
    states
        Gives the last hidden states (N x D) of the last N of some tokens, from their input vectors (1 x T x D).
    """
    tokens = [0, 2, 1, 1, 2, 0]
    with torch.inference_mode():
        own = _hidden(causal, tokens, positions=list(range(len(tokens))))
        embedded = causal.get_input_embeddings()(torch.tensor([tokens], device=causal.device))
        try:
            other = states(embedded)
        except _REFUSALS:
            return False
    return _close(own[-len(other) :], other)


def span_limit(config: Any) -> int:
    """Return how many positions a backbone can look across: its windows and its position table.

    Parameters
    ----------
    config
        Text configuration of a causal language model.
    """
    limits = [getattr(config, "max_position_embeddings", None)]
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention", "chunked_attention"])
    if "sliding_attention" in kinds:
        limits.append(getattr(config, "sliding_window", None))
    if "chunked_attention" in kinds:
        limits.append(getattr(config, "attention_chunk_size", None))
    return min((limit for limit in limits if limit), default=2**31 - 1)


def _hidden(
    causal: PreTrainedModel,
    tokens: list[int],
    *,
    positions: list[int],
    mask: Tensor | None = None,
    plan: _Listener | None = None,
) -> Float[Tensor, "T D"]:
    """Run the body on a few tokens."""
    device = causal.device
    if mask is None:
        mask = torch.ones(len(tokens), len(tokens), dtype=torch.bool).tril()
    added = torch.zeros(mask.shape, dtype=causal.dtype).masked_fill_(~mask, torch.finfo(causal.dtype).min)
    with torch.inference_mode(), evaluating(causal):
        embedded = causal.get_input_embeddings()(torch.tensor([tokens], device=device))
        output = causal.base_model(
            inputs_embeds=embedded,
            attention_mask=added[None, None].to(device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            **({} if plan is None else {PLAN: plan}),
        )
    return cast(Tensor, output.last_hidden_state)[0]


@contextmanager
def evaluating(module: torch.nn.Module) -> Generator[None]:
    """Switch a module to evaluation (no dropout) for a while, if it is training.

    Parameters
    ----------
    module
        Set back to training afterwards if it was.
    """
    training = module.training
    if training:
        module.eval()
    try:
        yield
    finally:
        if training:
            module.train()


def _close(left: Tensor, right: Tensor) -> bool:
    """Compare up to the rounding of the type, relative to the larger values."""
    tolerance = _TOLERANCE.get(left.dtype, _ROUGH)
    return float((left - right).abs().max()) <= tolerance * max(1.0, float(left.abs().max()))
