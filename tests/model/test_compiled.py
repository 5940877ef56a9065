"""The compiled way is exact and never compiles in a request. It runs in a process without runtime checks of types."""

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


@pytest.mark.skipif(
    "compiled" not in available_ways(LanguageModel(build("qwen3"), answers=((1,), (2,)))), reason="no compiler"
)
def test_the_compiled_way_is_exact_and_never_compiles_in_a_request(pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(pytestconfig.rootpath / "tests" / "plugin"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
