"""A backbone is judged by what it does."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM

from recollect.errors import ModelError
from recollect.model.check import span_limit
from recollect.model.language_model import LanguageModel

SIZES: dict[str, Any] = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1}


def test_who_can_be_plugged(family: str, language_model: Callable[[str], LanguageModel]):
    assert language_model(family).pluggable == (family != "gptj")


def test_a_backbone_without_attention_is_refused():
    with pytest.raises(ModelError, match="does not obey the mask"):
        LanguageModel(MambaForCausalLM(MambaConfig(**SIZES, state_size=4)), answers=((1,), (2,)))


def test_a_head_that_treats_logits_in_a_way_of_its_own_is_refused():
    class Shifted(GPT2LMHeadModel):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            output: Any = super().forward(*args, **kwargs)
            output.logits = output.logits + 1
            return output

    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    with pytest.raises(ModelError, match="answer head disagrees"):
        LanguageModel(Shifted(config), answers=((1,), (2,)))


def test_the_check_leaves_a_backbone_as_it_was():
    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    backbone = GPT2LMHeadModel(config).train()
    state = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    assert LanguageModel(backbone, answers=((1,), (2,))).training
    assert backbone.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in backbone.state_dict().items())


def test_an_evaluated_backbone_is_evaluated_with_all_around_it():
    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    assert not LanguageModel(GPT2LMHeadModel(config).eval(), answers=((1,), (2,)), channel=torch.nn.Identity()).training


def test_span_limit_takes_the_narrowest():
    class Config:
        max_position_embeddings = 100
        sliding_window = 40
        layer_types: tuple[str, ...] = ("full_attention", "full_attention")

    assert span_limit(Config) == 100
    Config.layer_types = ("full_attention", "sliding_attention")
    assert span_limit(Config) == 40
    assert span_limit(object()) == 2**31 - 1
