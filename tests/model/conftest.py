"""Small random backbones of real families, and what the stock model says about one ordinary prompt."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from recollect.model.language_model import LanguageModel

ANSWERS = (7, 11)

_SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # large, so that attention is far from uniform
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_GROUPED: dict[str, Any] = _SIZES | {"num_key_value_heads": 2}
_OLDER: dict[str, Any] = {
    "vocab_size": 61,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**_GROUPED),
    "qwen3": Qwen3Config(**_GROUPED, head_dim=16, tie_word_embeddings=True),
    "gpt2": GPT2Config(**_OLDER),
    "qwen2": Qwen2Config(**_GROUPED),
    "mistral": MistralConfig(**_GROUPED, sliding_window=None),
    "gemma": GemmaConfig(**_GROUPED, head_dim=8),
    "gemma2": Gemma2Config(**_GROUPED, head_dim=8, attn_logit_softcapping=5.0, final_logit_softcapping=3.0),
    "gpt_neox": GPTNeoXConfig(**_SIZES),
    "phi": PhiConfig(**_SIZES),
    "cohere": CohereConfig(**_GROUPED, logit_scale=0.25),
    "granite": GraniteConfig(**_GROUPED, logits_scaling=3.0),
    "gptj": GPTJConfig(**_OLDER, rotary_dim=4),
}
UNPLUGGABLE = {"gptj"}


def build(family: str) -> PreTrainedModel:
    """Make a small random model of a family, always the same one."""
    torch.manual_seed(len(family))
    return AutoModelForCausalLM.from_config(deepcopy(CONFIGS[family])).eval()


@pytest.fixture(params=tuple(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    """Every family in turn."""
    return request.param


@pytest.fixture(params=("llama", "qwen3", "gpt2"))
def named_family(request: pytest.FixtureRequest) -> str:
    """The three families that the contracts name."""
    return request.param


@pytest.fixture(scope="session")
def language_model() -> Callable[[str], LanguageModel]:
    """Give the language model of a family, built once."""
    made: dict[str, LanguageModel] = {}

    def get(family: str) -> LanguageModel:
        if family not in made:
            made[family] = LanguageModel(build(family), answers=ANSWERS).eval()
        return made[family]

    return get


@pytest.fixture(scope="session")
def stock() -> Callable[[str, np.ndarray], np.ndarray]:
    """Ask the untouched model of a family for its answer logits after one ordinary prompt."""
    made: dict[str, PreTrainedModel] = {}

    def ask(family: str, prompt: np.ndarray) -> np.ndarray:
        if family not in made:
            made[family] = build(family)
        with torch.inference_mode():
            logits = made[family](input_ids=torch.from_numpy(prompt.astype(np.int64))[None]).logits
        return logits[0, -1, list(ANSWERS)].numpy()

    return ask
