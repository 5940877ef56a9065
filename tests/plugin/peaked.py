"""Small random models whose attention is far from uniform, so that exactness is not had for nothing."""

from copy import deepcopy

import torch
from backbones import CONFIGS
from transformers import AutoModelForCausalLM, PreTrainedModel

FAMILIES = ("llama", "qwen2", "qwen3")
LAYERS = 5
_SHARPER = 6.0


def build_peaked(family: str, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Make a model of five layers whose queries and keys are six times as large; where they are normed, the norms."""
    torch.manual_seed(len(family))
    config = deepcopy(CONFIGS[family])
    config.num_hidden_layers, config.layer_types = LAYERS, ["full_attention"] * LAYERS
    config.initializer_range = 0.08
    causal = AutoModelForCausalLM.from_config(config).eval()
    normed = any("q_norm" in name for name, _ in causal.named_parameters())
    sharper = ("q_norm",) if normed else ("q_proj", "k_proj")
    with torch.no_grad():
        for name, weight in causal.named_parameters():
            if any(part in name for part in sharper):
                weight.mul_(_SHARPER)
    return causal.to(dtype)
