"""Two trainers: a stock loop over padded samples, and a step on packed prompt trees.

It decides in the stock loop's favour that AdamW steps once for all labels however many batches they make; its samples
come in an order drawn once, padded to the longest of their batch, and the library computes the loss from labels that
are -100 everywhere but at the answer. Ours packs, runs forward, asks the answer rows only, and steps. Both clip, both
run under bfloat16 autocast or in the type of the weights.

Dimension letters: T tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Int32
from torch import Tensor, nn
from transformers import PreTrainedModel

from recollect.bench.lessons import Lessons
from recollect.bench.questions import ANSWERS
from recollect.model.language_model import LanguageModel
from recollect.model.ways import compile_for_tuning
from recollect.prompt.packing import pack
from recollect.tuning.objective import answer_loss
from recollect.tuning.optimiser import clip_gradients

__all__ = ["PackedTrainer", "StockTrainer"]

_RATE: Final = 1e-5
_CLIP: Final = 1.0
_IGNORED: Final = -100


class StockTrainer:
    """Tune on one padded sample per label, as stock loops do.

    Parameters
    ----------
    causal : PreTrainedModel
        Copied, and set to stock attention.
    narrow : bool
        Whether it computes under bfloat16 autocast.
    seed : int
        Of the order of samples.
    """

    def __init__(self, causal: PreTrainedModel, *, narrow: bool, seed: int = 0) -> None:
        self.causal = copy.deepcopy(causal)
        self.causal.set_attn_implementation("sdpa")
        cast(nn.Module, self.causal).train()
        self.narrow, self.seed = narrow, seed
        self.optimizer = _optimizer(self.causal)

    def step(self, samples: Sequence[Int32[np.ndarray, "_"]], *, batch: int) -> None:
        """Learn from samples, some at a time, and step once."""
        order = np.random.default_rng(self.seed).permutation(len(samples))
        for start in range(0, len(order), batch):
            numbers: list[int] = order[start : start + batch].tolist()
            chosen = [samples[number] for number in numbers]
            (self._loss(chosen) * (len(chosen) / len(samples))).backward()
        _finish(self.causal, self.optimizer)

    def _loss(self, samples: Sequence[Int32[np.ndarray, "_"]]) -> Tensor:
        longest, device = max(map(len, samples)), self.causal.device
        tokens = torch.zeros(len(samples), longest, dtype=torch.long)
        mask, labels = torch.zeros_like(tokens), torch.full_like(tokens, _IGNORED)
        for row, sample in enumerate(samples):
            tokens[row, : len(sample)] = torch.from_numpy(sample)
            mask[row, : len(sample)] = 1
            labels[row, len(sample) - 1] = int(sample[-1])
        with torch.autocast(device.type, torch.bfloat16, enabled=self.narrow):
            output = self.causal(
                input_ids=tokens.to(device), attention_mask=mask.to(device), labels=labels.to(device), use_cache=False
            )
        return cast(Tensor, output.loss)


class PackedTrainer:
    """Tune on packed prompt trees, every slot a label.

    Parameters
    ----------
    causal : PreTrainedModel
        Copied.
    narrow : bool
        Whether it computes under bfloat16 autocast.
    compiled : bool
        Whether it runs through compiled layers.
    """

    def __init__(self, causal: PreTrainedModel, *, narrow: bool, compiled: bool = False) -> None:
        self.model = LanguageModel(copy.deepcopy(causal), answers=ANSWERS).train()
        if compiled:
            compile_for_tuning(self.model)
        self.narrow = narrow
        self.optimizer = _optimizer(self.model)

    def step(self, lessons: Lessons) -> None:
        """Learn from all labels at once."""
        device = self.model.device
        packed = pack(lessons.trees)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.narrow):
            logits = self.model(packed).float()
        answer_loss(logits[:, 1] - logits[:, 0], torch.from_numpy(lessons.labels).to(device)).backward()
        _finish(self.model, self.optimizer)


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=_RATE, fused=True)


def _finish(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Clip, step and forget the gradients."""
    clip_gradients(model.parameters(), _CLIP)
    optimizer.step()
    optimizer.zero_grad()
