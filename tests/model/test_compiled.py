"""Compiled layers are exact, in serving, where nothing compiles in a request, and in tuning.

They run in a process without runtime checks of types.
"""

import subprocess
import sys

import pytest
from backbones import build

from recollect.model.language_model import LanguageModel
from recollect.model.ways import available_ways

PROGRAM = """
import numpy as np
from torch._dynamo.utils import counters
from backbones import build
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.model.ways import use_way
from recollect.prompt.branches import Branches
from recollect.prompt.tree import Segment, join_segments

model = LanguageModel(build("qwen3"), answers=((1,), (2,))).eval()
random = np.random.default_rng(0)
shown = join_segments([Segment(random.integers(1, 61, 14).astype(np.int32), start=0)])
requests = [
    Branches.of(random.integers(1, 61, (count, length)).astype(np.int32), start=14)
    for count, length in ((30, 3), (5, 4), (1, 4), (9, 2), (6, 7))  # the last is longer than what is compiled
]
answer = lambda: [model.score(model.append(TrunkCache.empty(), shown), branches).numpy() for branches in requests]
use_way(model, "stock")
stock = answer()
use_way(model, "compiled", lengths=(4,))
before = counters["stats"]["unique_graphs"]
for found, expected in zip(answer(), stock, strict=True):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
assert counters["stats"]["unique_graphs"] == before > 0, (before, counters["stats"])
"""

TUNING = """
import numpy as np
import torch
from backbones import build
from recollect.model.language_model import LanguageModel
from recollect.model.ways import compile_for_tuning
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

random = np.random.default_rng(0)
def tree(tokens, branches):
    shown = join_segments([Segment(random.integers(1, 61, tokens).astype(np.int32), start=0)])
    return attach(shown, Branches.of(random.integers(1, 61, (branches, 3)).astype(np.int32), start=tokens))
batches = [pack([tree(14, 3)]), pack([tree(9, 2), tree(20, 4)]), pack([tree(240, 2), tree(200, 5)])]
from peft import LoraConfig
from recollect.errors import ModelError
def adapted(dropout):
    causal = build("qwen3")
    if dropout is not None:
        torch.manual_seed(0)
        targets = ["q_proj", "v_proj", "down_proj"]
        causal.add_adapter(LoraConfig(r=2, lora_dropout=dropout, target_modules=targets, init_lora_weights=False))
        causal.train(causal.training)  # the new layers too
    return LanguageModel(causal, answers=((1,), (2,))).train()

low_rank = LOW_RANK
gradients = []
for compiled in (False, True):
    model = adapted(0.0 if low_rank else None)
    if compiled:
        compile_for_tuning(model)
    for batch in batches:
        logits = model(batch)
        (logits[:, 1] - logits[:, 0]).square().sum().backward()
    gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad})
assert all(grad is not None for grad in gradients[1].values())
assert any("lora_A" in name for name in gradients[1]) == low_rank
for name, grad in gradients[0].items():
    torch.testing.assert_close(gradients[1][name], grad, rtol=1e-4, atol=1e-4 * float(grad.abs().max()))
try:
    compile_for_tuning(adapted(0.1))
except ModelError as error:
    assert "lora_dropout" in str(error), error
else:
    raise AssertionError("dropout was not refused")
"""


PROGRAMS = {
    "serving": PROGRAM,
    "tuning": TUNING.replace("LOW_RANK", "False"),
    "tuning by low rank": TUNING.replace("LOW_RANK", "True"),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.skipif(
    "compiled" not in available_ways(LanguageModel(build("qwen3"), answers=((1,), (2,)))), reason="no compiler"
)
def test_compiled_layers_are_exact(program: str, pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(pytestconfig.rootpath / "tests" / "plugin"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
