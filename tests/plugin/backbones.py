"""Small random language models of real families, and folders of them with a tokenizer: what a hub would hold."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
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
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

TEXTS = ("The Fish Called Wanda (1988)", "Alien (1979), Horror and Science Fiction", "Yes, no, like and dislike.")
TOKENS = 300
ROWS = 304  # of the models: more than the tokenizer has, as families pad them

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


def build(family: str, **changes: int) -> PreTrainedModel:
    """Make a small random model of a family, always the same one; changes are values of its configuration."""
    torch.manual_seed(len(family))
    config = deepcopy(CONFIGS[family])
    for name, value in changes.items():
        setattr(config, name, value)
    return AutoModelForCausalLM.from_config(config).eval()


def make_tokenizer(*, begins: bool) -> PreTrainedTokenizerFast:
    """Train a small byte-level tokenizer, which writes its begin token before every text or does not."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<begin>", "<end>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS, special_tokens=special, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(TEXTS, trainer)
    if begins:
        backend.post_processor = processors.TemplateProcessing(single="<begin> $A", special_tokens=[("<begin>", 0)])
    names = dict(zip(("bos_token", "eos_token", "pad_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def write_backbone(family: str, folder: Path, **changes: int) -> Path:
    """Write the folder of a small random model of a family with a tokenizer."""
    build(family, vocab_size=ROWS, **changes).save_pretrained(folder)
    make_tokenizer(begins=True).save_pretrained(folder)
    return folder
