"""Our ways to compute: the language model as it is, and every other way that fits the machine and the backbone.

It decides that each way has a copy of the backbone of its own, so that none disturbs another, and that nothing is
timed before all exact ways agree, relative to the largest logit if that is above one.

Dimension letters: C candidates, A answers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from recollect.bench.questions import ANSWERS, Question
from recollect.errors import ModelError
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.model.ways import PREPARED, available_ways, use_way

__all__ = ["DTYPES", "Engine", "largest_difference", "make_engines", "require_agreement"]

AGREEMENT: Final = 1e-5
"""How far exact ways may be apart."""

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Types of weights by name."""


@dataclass(frozen=True, eq=False, slots=True)
class Engine:
    """Hold a language model that computes in one of our ways."""

    name: str
    precision: str
    model: LanguageModel

    @property
    def label(self) -> str:
        """Name the way and the type of its numbers."""
        return f"{self.name}, {self.precision}"

    def encode(self, question: Question) -> TrunkCache:
        """Encode the trunk from nothing."""
        return self.model.append(TrunkCache.empty(), question.trunk)

    def score(self, cache: TrunkCache, question: Question) -> Float[Tensor, "C A"]:
        """Score the candidates behind a trunk that is there."""
        return self.model.score(cache, question.branches)


def make_engines(causal: PreTrainedModel, *, precisions: Sequence[str], compiled: bool) -> list[Engine]:
    """Make every way that computes in one of these types, the language model as it is first.

    Parameters
    ----------
    causal
        The backbone; it stays as it is.
    precisions
        Of products: float32, bfloat16, int8; the first is that of the weights.
    compiled
        Whether ways that take long to prepare are wanted: compiled and recorded ones.
    """
    wide = precisions[0]
    engines = [Engine("stock", kind, _model(causal, DTYPES[kind])) for kind in precisions if kind in DTYPES]
    for way in available_ways(engines[0].model):
        name, _, suffix = way.partition("-")
        kind = suffix or wide
        if name != "stock" and kind in precisions and (compiled or name not in PREPARED):
            model = _model(causal, DTYPES[wide])
            use_way(model, way)
            engines.append(Engine(name, kind, model))
    return engines


def require_agreement(question: Question, engines: Sequence[Engine], *, expected: Float[Tensor, "C A"]) -> float:
    """Check that every exact way gives these logits for the first candidates; return the largest difference.

    Raises
    ------
    ModelError
        If one does not.
    """
    worst = 0.0
    for engine in engines:
        if engine.precision == "float32":
            found = engine.score(engine.encode(question), question)[: len(expected)]
            difference = largest_difference(found, expected)
            if difference > AGREEMENT:
                raise ModelError(
                    f"the way {engine.name!r} gives other answers than stock transformers",
                    got=f"a difference of {difference:.1e}",
                    expected=f"at most {AGREEMENT:.0e}",
                    do="report this backbone and machine; nothing was timed",
                )
            worst = max(worst, difference)
    return worst


def largest_difference(one: Float[Tensor, "C A"], other: Float[Tensor, "C A"]) -> float:
    """Return how far logits are apart, relative to the largest one if that is above one."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1))


def _model(causal: PreTrainedModel, dtype: torch.dtype) -> LanguageModel:
    own = cast(PreTrainedModel, cast(nn.Module, copy.deepcopy(causal)).to(dtype))
    return LanguageModel(own.eval(), answers=ANSWERS)
