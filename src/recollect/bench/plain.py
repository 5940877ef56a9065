"""The plain way to score: one prompt per candidate through stock `transformers`, with the same weights.

What it is: the backbone as the library runs it (`sdpa` attention, causal mask), fed with the same input vectors. Two
forms: batches of whole prompts, and the library's own key/value cache of the trunk, repeated for every candidate.

It decides in the plain way's favour wherever there is a choice: input vectors are made beforehand and not timed, the
output layer runs at the last position only, and all candidates have one length, so nothing is spent on padding.

Dimension letters: C candidates, T tokens, D width, A answers, F features.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor
from transformers import DynamicCache

from recollect.model.language_model import LanguageModel
from recollect.prompt.branches import Branches
from recollect.prompt.tree import PromptTree

__all__ = ["PlainWay"]


class PlainWay:
    """Score candidates behind a trunk without any of our savings.

    Parameters
    ----------
    model : LanguageModel
        Its backbone is copied and set back to stock attention.
    trunk : PromptTree
        Every token sees all earlier ones.
    branches : Branches
        The candidates, of one length.
    """

    def __init__(self, model: LanguageModel, trunk: PromptTree, branches: Branches) -> None:
        self.causal = copy.deepcopy(model.causal)
        self.causal.set_attn_implementation("sdpa")
        self.answers = model.answers
        with torch.inference_mode():
            before = _input_vectors(model, trunk.tokens[None], trunk.items[None], trunk.features[None])
            self.own = _input_vectors(model, branches.tokens, branches.items, branches.features)
            self.prompts = torch.cat([before.expand(len(self.own), -1, -1), self.own], dim=1)
            self.cache = DynamicCache()
            self._run(before, past_key_values=self.cache, use_cache=True)

    @torch.inference_mode()
    def score(self, *, batch: int, count: int | None = None) -> Float[Tensor, "C A"]:
        """Return the answer logits of all candidates or the first `count`, some whole prompts at a time."""
        prompts = self.prompts[:count]
        starts = range(0, len(prompts), batch)
        return torch.cat([self._run(prompts[start : start + batch], use_cache=False) for start in starts])

    @torch.inference_mode()
    def score_cached(self, *, batch: int | None = None) -> Float[Tensor, "C A"]:
        """Return the same with the library's cache of the trunk, copied and repeated for all or `batch` candidates."""
        size = batch or len(self.own)
        return torch.cat([self._score_cached(self.own[at : at + size]) for at in range(0, len(self.own), size)])

    def _score_cached(self, part: Float[Tensor, "C T D"]) -> Float[Tensor, "C A"]:
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(len(part))
        return self._run(part, past_key_values=cache, use_cache=True)

    def _run(self, vectors: Float[Tensor, "C T D"], **more: Any) -> Float[Tensor, "C A"]:
        known = more["past_key_values"].get_seq_length() if "past_key_values" in more else 0
        mask = torch.ones(len(vectors), known + vectors.shape[1], dtype=torch.long, device=vectors.device)
        output = self.causal(inputs_embeds=vectors, attention_mask=mask, logits_to_keep=1, **more)
        return cast(Tensor, output.logits)[:, -1, self.answers]


def _input_vectors(
    model: LanguageModel,
    tokens: Int32[np.ndarray, "C T"],
    items: Int32[np.ndarray, "C T"],
    features: Float32[np.ndarray, "C T F"],
) -> Float[Tensor, "C T D"]:
    """Look up the tokens' vectors and put in what the item channel makes of the soft ones."""
    device = model.device
    vectors = cast(Tensor, model.causal.get_input_embeddings()(torch.from_numpy(tokens).to(device)))
    where = torch.from_numpy(items >= 0)
    codes, numbers = torch.from_numpy(items)[where], torch.from_numpy(features)[where]
    if model.channel is not None and len(codes):
        vectors[where.to(device)] = model.channel(codes.to(device), numbers.to(device), vectors[where.to(device)])
    return vectors
