"""The tuning loop: epochs of packed windows, averaged weights, and a choice on validation rows.

It decides: AdamW with decay on matrices only, a short warm-up and a cosine to a small floor; weights are averaged over
steps (exponentially) and only the average is ever judged or kept; after each epoch the average is judged on
validation rows, the best is kept, and tuning stops after `patience` epochs without a better one. Without
validation rows the last average is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from recollect.model.settings import TuningSettings
from recollect.progress import Progress
from recollect.run.tuned import TunedModel
from recollect.tuning.batches import Batch, Epochs
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.objective import answer_loss, within_loss

Weights = dict[str, torch.Tensor]
_BETAS = (0.9, 0.98)
_WARM_AVERAGE = 10  # steps after which the average has about this length


@dataclass(slots=True)
class State:
    """Hold where a tuning stands; everything in it goes into a checkpoint."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    answered: int = 0
    loss: float = 0.0
    best: float = math.inf
    best_epoch: int = -1
    losses: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


class TuningLoop:
    """Tune a model in place.

    Parameters
    ----------
    tuned : TunedModel
        The model to tune.
    epochs : Epochs
        Makes the batches.
    judge : callable
        Measures the model on validation rows, lower is better; None if there are none.
    checkpoint : CheckpointFile
        Where the state is kept.
    """

    def __init__(
        self, tuned: TunedModel, *, epochs: Epochs, judge: Callable[[], float | None], checkpoint: CheckpointFile
    ) -> None:
        self.model = tuned.language_model
        self.settings: TuningSettings = tuned.recipe.tuning
        self.epochs = epochs
        self.judge = judge
        self.checkpoint = checkpoint
        self.state = State()
        self.labels = torch.from_numpy(np.array(epochs.context.log.label))
        self.average = _copy(self.model)
        self.best = _copy(self.model)
        self.optimizer = _optimizer(self.model, self.settings)

    def run(self, *, progress: Progress) -> State:
        """Tune to the end, from the start or from the checkpoint, and leave the best average in the model."""
        self._resume()
        total = len(self.epochs.rows) * self.settings.epochs
        progress.start("tuning", total)
        while self.state.epoch < self.settings.epochs and not self._is_stale():
            self._run_epoch(progress)
        self.model.load_state_dict(self.best)
        self.model.eval()
        progress.finish(
            f"kept epoch {self.state.best_epoch + 1}, validation {self.settings.select} {self.state.best:.4f}"
        )
        return self.state

    def _run_epoch(self, progress: Progress) -> None:
        """Take all steps of an epoch, then judge the averaged weights."""
        state, saved = self.state, time.monotonic()
        before = state.epoch * len(self.epochs.rows)
        self.model.train()
        plan = self.epochs.plan(state.epoch)
        for batch in plan.batches(skip=state.batch):
            loss = self._step(batch, batch_count=len(plan))
            state.answered += len(batch.window)
            state.loss += (loss - state.loss) * len(batch.window) / state.answered
            state.batch += 1
            progress.advance(before + state.answered, epoch=float(state.epoch + 1), loss=state.loss)
            if time.monotonic() - saved > self.settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._judge()
        state.epoch, state.batch, state.answered, state.loss = state.epoch + 1, 0, 0, 0.0
        self._save()

    def _step(self, batch: Batch, *, batch_count: int) -> float:
        """Take one step of the optimiser; return the answers' mean loss."""
        rate = self.settings.rate * self._schedule(batch_count)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.model(batch.packed).float()
        score = logits[:, 1] - logits[:, 0]
        label = self.labels[torch.from_numpy(batch.packed.slot_rows)]
        answers = answer_loss(score, label)
        loss = answers
        if self.settings.within > 0:
            loss = loss + self.settings.within * within_loss(score, label, torch.from_numpy(batch.window).long())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.state.step += 1
        self._update_average()
        return answers.item()

    def _schedule(self, batch_count: int) -> float:
        """Return the share of the full rate at this step: warm-up, then a cosine over the epochs."""
        settings, state = self.settings, self.state
        share = min(1.0, (state.epoch + state.batch / batch_count) / settings.epochs)
        cosine = settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * share))
        return min(1.0, (state.step + 1) / settings.warmup) * cosine

    def _update_average(self) -> None:
        keep = min(self.settings.averaging, (1 + self.state.step) / (_WARM_AVERAGE + self.state.step))
        for name, weight in self.model.state_dict().items():
            self.average[name].lerp_(weight, 1 - keep)

    def _judge(self) -> None:
        """Measure the averaged weights, and keep them if they are the best so far."""
        current = _copy(self.model)
        self.model.load_state_dict(self.average)
        judged = self.judge()
        self.model.load_state_dict(current)
        facts = {"epoch": float(self.state.epoch + 1), "loss": self.state.loss}
        if judged is not None:
            facts[f"validation_{self.settings.select}"] = judged
        self.state.losses.append(facts)
        if judged is None or judged < self.state.best:
            self.state.best = math.inf if judged is None else judged
            self.state.best_epoch = self.state.epoch
            self.best = {name: weight.clone() for name, weight in self.average.items()}

    def _is_stale(self) -> bool:
        state = self.state
        return state.best_epoch >= 0 and state.epoch - 1 - state.best_epoch >= self.settings.patience

    def _save(self) -> None:
        state: dict[str, Any] = {
            "where": {name: getattr(self.state, name) for name in State.__slots__},
            "model": self.model.state_dict(),
            "average": self.average,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        self.checkpoint.save(state)

    def _resume(self) -> None:
        stored = self.checkpoint.load()
        if stored is None:
            return
        self.state = State(**stored["where"])
        self.model.load_state_dict(stored["model"])
        self.average, self.best = stored["average"], stored["best"]
        self.optimizer.load_state_dict(stored["optimizer"])
        torch.set_rng_state(stored["random"])


def _copy(model: torch.nn.Module) -> Weights:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def _optimizer(model: torch.nn.Module, settings: TuningSettings) -> torch.optim.AdamW:
    """Make AdamW with weight decay on matrices only."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.rate, betas=_BETAS, fused=True)
