"""Small random backbones of real families, and what the stock model says about one ordinary prompt."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from backbones import CONFIGS, build, write_backbone
from transformers import PreTrainedModel

from recollect.model.language_model import LanguageModel

ANSWERS = ((7,), (11,))


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
        return logits[0, -1, [first for (first,) in ANSWERS]].numpy()

    return ask


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a small random model of a family with a tokenizer, written once."""
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = write_backbone(family, tmp_path_factory.mktemp("models") / family)
        return made[family]

    return get
