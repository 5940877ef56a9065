"""The tuning loop: epochs of packed lessons, averaged weights, and a choice on validation rows.

It decides: AdamW with decay on matrices only, a short warm-up and a cosine or a line to a small floor; weights are
averaged over steps (exponentially) and only the average is ever judged or kept; after each epoch the average is judged
on validation rows, the best is kept, and tuning stops after `patience` epochs without a better one. Without validation
rows the last average is kept. Only weights that are tuned are copied, averaged and checkpointed. A step learns from
`accumulate` batches, whichever processes read them (`recollect.tuning.parallel`); each of their answers counts alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float64

from recollect.model.settings import TuningSettings
from recollect.progress import SILENT, Progress
from recollect.run.tuned import TunedModel
from recollect.tuning.batches import Batch, EpochPlan, Epochs
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.objective import answer_loss, within_loss
from recollect.tuning.optimiser import clip_gradients, keep_freed_memory, make_optimizer
from recollect.tuning.parallel import ALONE, Team

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
    team : Team
        The processes that tune together.
    """

    def __init__(
        self,
        tuned: TunedModel,
        *,
        epochs: Epochs,
        judge: Callable[[], float | None],
        checkpoint: CheckpointFile,
        team: Team = ALONE,
    ) -> None:
        self.model = tuned.language_model
        self.settings: TuningSettings = tuned.recipe.tuning
        self.epochs = epochs
        self.judge = judge
        self.checkpoint = checkpoint
        self.team = team
        self.state = State()
        self.device = self.model.device
        self.labels = torch.from_numpy(np.array(epochs.context.log.label)).to(self.device)
        self.average = _copy(self.model)
        self.best = _copy(self.model)
        self.weights = [weight for _, weight in _tuned(self.model)]
        settings = self.settings
        self.optimizer = make_optimizer(self.weights, rate=settings.rate, betas=_BETAS, decay=settings.weight_decay)

    def run(self, *, progress: Progress) -> State:
        """Tune to the end, from the start or from the checkpoint, and leave the best average in the model."""
        progress = progress if self.team.is_main else SILENT
        self._resume()
        keep_freed_memory()
        total = len(self.epochs.rows) * self.settings.epochs
        progress.start("tuning", total)
        while self.state.epoch < self.settings.epochs and not self._is_stale():
            self._run_epoch(progress)
        _put(self.model, self.best)
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
        while state.batch < len(plan):
            self._advance(plan)
            progress.advance(before + state.answered, epoch=float(state.epoch + 1), loss=state.loss)
            if time.monotonic() - saved > self.settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._judge()
        state.epoch, state.batch, state.answered, state.loss = state.epoch + 1, 0, 0, 0.0
        self._save()

    def _advance(self, plan: EpochPlan) -> None:
        """Learn from the batches of one step, each answer with the same weight, and take it."""
        state = self.state
        batches = range(state.batch, min(state.batch + self.settings.accumulate, len(plan)))
        told = torch.zeros(2, dtype=torch.float64)
        for number in self.team.share(batches):
            told += self._learn(plan.batch(number))
        asked, losses = cast(list[float], self.team.add_up(self.weights, told).tolist())
        for weight in self.weights:
            if weight.grad is not None:
                weight.grad /= asked
        self._step(len(plan))
        state.answered += round(asked)
        state.loss += (losses - state.loss * asked) / state.answered
        state.batch = batches.stop

    def _learn(self, batch: Batch) -> Float64[torch.Tensor, " 2"]:
        """Add a batch's gradient; return its number of answers and the sum of their losses."""
        asked = len(batch.window) // self.model.slots_per_question
        torch.manual_seed(batch.seed)
        loss, answers = self._loss(batch)
        (loss * asked).backward()
        return torch.tensor([asked, asked * answers], dtype=torch.float64)

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, float]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.model(batch.packed).float()
        score = logits[:, 1] - logits[:, 0]
        each = slice(None, None, self.model.slots_per_question)
        label = self.labels[torch.from_numpy(batch.packed.slot_rows[each].copy()).to(self.device)]
        loss = answers = answer_loss(score, label)
        if self.settings.within > 0:
            window = torch.from_numpy(batch.window[each].copy()).long().to(self.device)
            loss = loss + self.settings.within * within_loss(score, label, window)
        return loss, answers.item()

    def _step(self, batch_count: int) -> None:
        """Take one step of the optimiser."""
        rate = self.settings.rate * self._schedule(batch_count)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        clip_gradients(self.weights, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        self._update_average()

    def _schedule(self, batch_count: int) -> float:
        """Return the share of the full rate at this step: warm-up, then a fall over the epochs to the floor."""
        settings, state = self.settings, self.state
        share = min(1.0, (state.epoch + state.batch / batch_count) / settings.epochs)
        left = 1 - share if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
        return min(1.0, (state.step + 1) / settings.warmup) * (settings.floor + (1 - settings.floor) * left)

    def _update_average(self) -> None:
        keep = min(self.settings.averaging, (1 + self.state.step) / (_WARM_AVERAGE + self.state.step))
        for name, weight in _tuned(self.model):
            self.average[name].lerp_(weight.detach(), 1 - keep)

    def _judge(self) -> None:
        """Measure the averaged weights, and keep them if they are the best so far."""
        current = _copy(self.model)
        _put(self.model, self.average)
        judged = self.team.from_main(self.judge)
        _put(self.model, current)
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
        if not self.team.is_main:
            return
        state: dict[str, Any] = {
            "where": {name: getattr(self.state, name) for name in State.__slots__},
            "model": _copy(self.model),
            "average": self.average,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        self.checkpoint.save(state)

    def _resume(self) -> None:
        stored = self.team.from_main(self.checkpoint.load)
        if stored is None:
            return
        self.state = State(**stored["where"])
        _put(self.model, stored["model"])
        self.average, self.best = stored["average"], stored["best"]
        self.optimizer.load_state_dict(stored["optimizer"])


def _tuned(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """List the weights that are tuned."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _copy(model: torch.nn.Module) -> Weights:
    return {name: weight.detach().clone() for name, weight in _tuned(model)}


@torch.no_grad()
def _put(model: torch.nn.Module, weights: Weights) -> None:
    for name, weight in _tuned(model):
        weight.copy_(weights[name])
