"""`nano`: a small Qwen3-style decoder with random weights, tuned from scratch on the log at hand.

A configuration of `transformers` like any other: grouped-query attention, normed queries and keys, rotary positions,
SwiGLU. It decides three sizes (presets of the recipe) and two departures from the library's defaults: input and output
embeddings are not tied, so that an answer word may mean something else as input than as output, and input embeddings
start wider, so that they weigh as much as what the item channel adds.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from recollect.model.settings import NanoShape

_EMBEDDING_DEVIATION = 0.3


def build_nano(shape: NanoShape, *, vocabulary: int, seed: int) -> PreTrainedModel:
    """Make a decoder with random weights.

    Parameters
    ----------
    shape
        Its size.
    vocabulary
        V, the size of the tokenizer at hand.
    seed
        Of the weights; the global generator of torch is left as it was.
    """
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.width // shape.heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
        nn.init.normal_(cast(nn.Embedding, model.get_input_embeddings()).weight, std=_EMBEDDING_DEVIATION)
    return model
