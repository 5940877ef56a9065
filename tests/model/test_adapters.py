"""LoRA on every family: nothing changes before tuning, only the adapter is tuned, and it is found again, or merged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from backbones import ROWS, build
from transformers import AutoModelForCausalLM, PreTrainedModel

from recollect.errors import ModelError
from recollect.model.adapters import add_lora, has_lora, merge_lora
from recollect.model.backbone import LoadedBackbone, load_backbone, prepare_for_tuning, save_backbone
from recollect.model.language_model import LanguageModel
from recollect.model.settings import PretrainedBackbone, TuningSettings
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

Folders = Callable[[str], Path]
LORA = TuningSettings(method="lora", lora_rank=4, lora_alpha=8.0, lora_dropout=0.0)
PACKED = pack([join_segments([Segment(np.arange(3, 12, dtype=np.int32), start=0, slots=((8, 0), (4, 1)))])])
IDS = torch.arange(3, 12)[None]


def load(folder: Path, **options: Any) -> LoadedBackbone:
    return load_backbone(PretrainedBackbone(name=str(folder)), **options)


def logits(causal: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return cast(torch.Tensor, causal(input_ids=IDS).logits)


def take_step(causal: PreTrainedModel) -> None:
    """Tune a little, twice: the second half of the adapter has no gradient before the first half moved."""
    model = LanguageModel(causal, answers=((7,), (11,))).train()
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(PACKED).diff().sum().backward()
        optimizer.step()
    model.eval()


def test_only_the_adapter_is_tuned_and_it_is_found_again_or_merged(family: str, model_folder: Folders, tmp_path: Path):
    loaded = load(model_folder(family))
    causal, before = loaded.causal, logits(loaded.causal)
    frozen = {name: weight.clone() for name, weight in causal.state_dict().items()}
    prepare_for_tuning(causal, LORA, seed=1)
    torch.testing.assert_close(logits(causal), before, rtol=0, atol=0)
    tuned = {name for name, weight in causal.named_parameters() if weight.requires_grad}
    assert tuned == {name for name, _ in causal.named_parameters() if ".lora_" in name} != set()
    take_step(causal)
    state = {name.replace(".base_layer", ""): weight for name, weight in causal.state_dict().items()}
    assert all(torch.equal(state[name], weight) for name, weight in frozen.items())
    after = logits(causal)
    assert (after - before).abs().max() > 1e-3
    save_backbone(causal, loaded.tokenizer, tmp_path / "adapter")
    kept, merged = load(tmp_path / "adapter", adapter="keep"), load(tmp_path / "adapter")
    assert all(torch.equal(weight, causal.state_dict()[name]) for name, weight in kept.causal.state_dict().items())
    for found in (kept.causal, merged.causal, AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")):
        torch.testing.assert_close(logits(found), after, rtol=0, atol=1e-5)
    assert merged.causal.state_dict().keys() == frozen.keys()
    assert merged.vocabulary.opening == (0,)


def test_a_merged_model_answers_trees_and_may_be_tuned_whole(named_family: str, model_folder: Folders):
    causal = load(model_folder(named_family)).causal
    add_lora(causal, LORA, seed=1)
    take_step(causal)
    with torch.inference_mode():
        before = LanguageModel(causal, answers=((7,), (11,))).eval()(PACKED)
        merge_lora(causal)
        after = LanguageModel(causal, answers=((7,), (11,))).eval()(PACKED)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5)
    assert not has_lora(causal)
    prepare_for_tuning(causal, TuningSettings(method="full"))
    take_step(causal)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("llama", {"q_proj", "v_proj"}),
        ("gpt2", {"c_attn"}),
        ("gpt_neox", {"query_key_value"}),
        ("phi", {"q_proj", "v_proj"}),
        ("granite", {"q_proj", "k_proj", "v_proj", "o_proj"}),  # peft knows nothing of it
    ],
)
def test_queries_and_values_are_the_targets(family: str, expected: set[str], model_folder: Folders):
    causal = load(model_folder(family)).causal
    add_lora(causal, LORA, seed=0)
    assert {
        name.split(".lora_")[0].rpartition(".")[2] for name, _ in causal.named_parameters() if ".lora_" in name
    } == expected


def test_the_seed_decides_the_random_half_and_leaves_the_generator_alone(model_folder: Folders):
    def drawn(seed: int) -> torch.Tensor:
        causal = load(model_folder("llama")).causal
        torch.manual_seed(5)
        add_lora(causal, LORA, seed=seed)
        assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(5)))
        return torch.cat([weight.flatten() for name, weight in causal.named_parameters() if ".lora_A." in name])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_the_adapter_remembers_the_revision_of_its_base(model_folder: Folders, tmp_path: Path):
    loaded = load(model_folder("llama"))
    prepare_for_tuning(loaded.causal, LORA, revision="v1.0")
    save_backbone(loaded.causal, loaded.tokenizer, tmp_path)
    text = (tmp_path / "adapter_config.json").read_text()
    assert '"revision": "v1.0"' in text
    assert str(model_folder("llama")) in text


def test_what_cannot_carry_an_adapter_is_refused(model_folder: Folders):
    with pytest.raises(ModelError, match="no folder"):
        add_lora(build("llama", vocab_size=ROWS), LORA, seed=0)
    causal = load(model_folder("llama")).causal
    with pytest.raises(ModelError, match=r"got nowhere in LlamaForCausalLM; expected linear layers, such as k_proj"):
        add_lora(causal, LORA.model_copy(update={"lora_targets": ("q_proj", "nowhere")}), seed=0)
    add_lora(causal, LORA, seed=0)
    with pytest.raises(ModelError, match="with an adapter"):
        add_lora(causal, LORA, seed=0)
    merge_lora(causal)
    with pytest.raises(ModelError, match="no folder"):
        add_lora(causal, LORA, seed=0)
