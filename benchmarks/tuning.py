"""The ways of tuning: one step of the optimiser on a packed batch, in float32 and under bfloat16 autocast.

It decides that a step is what `recollect.tuning.loop` does without averaging: forward, both losses, backward, clip,
AdamW. The rate counts tokens of trees, not padding.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from benchmarks.serving import in_bfloat16
from recollect.bench.timing import Way
from recollect.context.evidence import Context
from recollect.data.dataset import Dataset
from recollect.prompt.packing import pack, plan_batches
from recollect.prompt.tree import PromptTree
from recollect.run.prompting import make_prompter
from recollect.run.tuned import TunedModel
from recollect.tuning.objective import answer_loss, within_loss

_CLIP = 1.0


class TuningStep:
    """Take steps on one batch with a copy of the model.

    Parameters
    ----------
    tuned : TunedModel
        The model; its weights stay as they are.
    trees : list of PromptTree
        The batch.
    label : Tensor
        Label of each row of the log.
    """

    def __init__(self, tuned: TunedModel, trees: list[PromptTree], label: torch.Tensor) -> None:
        self.model = copy.deepcopy(tuned.language_model).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        self.packed = pack(trees)
        self.tokens = sum(len(tree) for tree in trees)
        self.label = label[torch.from_numpy(self.packed.slot_rows)]
        counts = [len(tree.slots) for tree in trees]
        self.window = torch.from_numpy(np.repeat(np.arange(len(trees)), counts))

    def forward(self) -> torch.Tensor:
        """Compute the logits."""
        return self.model(self.packed)

    def take(self, logits: torch.Tensor) -> float:
        """Go back from the logits and change the weights; return the loss."""
        score = logits.float().diff(dim=1)[:, 0]
        loss = answer_loss(score, self.label) + within_loss(score, self.label, self.window)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        self.optimizer.step()
        return loss.item()

    def wide(self) -> float:
        """Take a step in float32."""
        return self.take(self.forward())

    def narrow(self) -> float:
        """Take a step with the forward pass under bfloat16 autocast."""
        return self.take(in_bfloat16(self.forward)())


def tuning_ways(tuned: TunedModel, dataset: Dataset, batches: tuple[int, ...]) -> list[Way]:
    """List the ways: each size of batch, float32 first."""
    context = Context(dataset.log, rule=tuned.recipe.past.rule(), prior=tuned.prior)
    rows, random = np.arange(len(dataset.log)), np.random.default_rng(0)
    trees = [lesson.tree(random) for lesson in make_prompter(tuned, dataset).lessons(context, rows, random=random)]
    label = torch.from_numpy(np.array(dataset.log.label))
    ways: list[Way] = []
    for size in batches:
        groups = list(plan_batches(np.array([len(tree) for tree in trees], np.int64), tokens=size))
        step = TuningStep(tuned, [trees[number] for number in groups[len(groups) // 2]], label)
        group = f"one tuning step, a batch of {size:,} tokens"
        ways.append(Way(group, "float32", step.wide, every=8, tokens=step.tokens))
        ways.append(Way(group, "bfloat16 autocast", step.narrow, every=8, tokens=step.tokens))
    return ways
