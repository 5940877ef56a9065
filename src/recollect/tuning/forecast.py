"""What a tuning will take, told before it starts: prompts, tokens, memory, hours.

It decides what is counted and what is measured. The prompts of the first epoch are cut as tuning cuts them, and the
longest of them laid out; those of validation are laid out for some whole users and scaled up. Operations and memory
follow from the shape of the model (`recollect.model.estimate`); the hours from them and from the speed of a matrix
product, measured on the spot. Tuning may stop earlier than all epochs, so the hours are a bound as far as they can be
one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch

from recollect.data.splits import rows_of_some_users
from recollect.model.estimate import (
    Memory,
    ModelShape,
    Work,
    device_memory,
    measure_speed,
    sketch,
    tuning_flops,
    tuning_hours,
    tuning_memory,
)
from recollect.model.settings import PretrainedBackbone, TuningSettings
from recollect.prompt.tree import PromptTree
from recollect.tuning.batches import EpochPlan
from recollect.tuning.reading import Reading
from recollect.tuning.run import Task

_JUDGED_SAMPLE: Final = 1000
_LONGEST: Final = 1000  # lessons of an epoch that are laid out
_SHORTER: Final = "the tuning would stop; set history.shown lower, or backbone.positions higher"
_ANSWERING: Final = TuningSettings(method="none")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Hold what a tuning will take.

    Parameters
    ----------
    method
        How weights are tuned.
    epoch, judged
        What is read in one epoch, and in one pass over the validation rows.
    epochs, passes, steps
        How often; and how often the weights change.
    shape
        Weights, in all and tuned.
    context
        Most tokens that the model reads at once.
    memory, lean
        Bytes while tuning; and if activations are computed again (`tuning.gradient_checkpointing`).
    room
        Bytes that the device has; None where the system does not tell.
    flops, speed, hours
        Operations in all, operations per second of a matrix product on the device, and how long that takes.
    device
        Where.
    answers
        Each answer word and its tokens.
    """

    method: str
    epoch: Reading
    judged: Reading
    epochs: int
    passes: int
    steps: int
    shape: ModelShape
    context: int
    memory: Memory
    lean: int
    room: int | None
    flops: int
    speed: float
    hours: float
    device: str
    answers: tuple[tuple[str, tuple[int, ...]], ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; bytes, operations and hours are numbers."""
        answers = [{"word": word, "tokens": list(tokens)} for word, tokens in self.answers]
        return asdict(self) | {"memory": {**asdict(self.memory), "total": self.memory.total}, "answers": answers}

    def facts(self) -> list[tuple[str, str]]:
        """Return everything as names and texts for people."""
        epoch, judged, memory = self.epoch, self.judged, self.memory
        longest = max(epoch.longest, judged.longest)
        parts = (f"{name} {_bytes(size)}" for name, size in asdict(memory).items() if size)
        tuning = [
            ("an epoch", f"{epoch.rows:,} rows in {epoch.prompts:,} prompts, {epoch.tokens:,} tokens"),
            ("in all", f"epochs {self.epochs}, steps {self.steps:,}, {self.epochs * epoch.tokens:,} tokens"),
        ]
        return [
            ("tuning", f"{self.method}: {self.shape.tuned:,} of {self.shape.total:,} weights"),
            *(tuning if self.epochs else []),
            ("validation", f"{judged.rows:,} rows, about {judged.tokens:,} tokens, read {self.passes} x"),
            ("longest prompt", f"{longest:,} tokens; the model reads {self.context:,}"),
            *([] if longest <= self.context else [("too long", _SHORTER)]),
            ("answers", ", ".join(f"{word} {list(tokens)}" for word, tokens in self.answers)),
            ("memory", f"about {_bytes(memory.total)}: {', '.join(parts)}"),
            *([] if self.room is None or memory.total <= self.room else [("does not fit", self._way_out(self.room))]),
            ("operations", f"{self.flops:.1e}; {self.device} does {self.speed:.1e} a second at best"),
            ("hours", f"about {self.hours:.2g}" if self.hours >= 0.1 else f"about {60 * self.hours:.2g} minutes"),
        ]

    def _way_out(self, room: int) -> str:
        """Say what would take less memory."""
        has, batch = f"{self.device} has {_bytes(room)}", "a smaller tuning.batch_tokens with more tuning.accumulate"
        if self.lean >= self.memory.total:
            return f"{has}; try {batch}, or tuning.method=lora"
        return f"{has}; --set tuning.gradient_checkpointing=true takes about {_bytes(self.lean)}, or try {batch}"


def forecast(task: Task) -> Forecast:
    """Count and estimate what a task will take; nothing is tuned or written.

    Parameters
    ----------
    task : Task
        As `recollect.tuning.run.prepare` or `recollect.tuning.outline.outline` gives it; its model is not run.

    Raises
    ------
    ModelError
        If the backbone cannot be found, or has no module of the names that shall get an adapter.
    LeakError
        If a row would see an event of its own instant or later.
    PromptError
        If a question alone is longer than the model reads, or than the budget.
    """
    recipe, settings, answers = task.tuned.recipe, task.tuned.recipe.tuning, task.tuned.answers
    shape = _shape(task)
    tunes = settings.method != "none"
    plan = task.epochs.plan(0) if tunes else EpochPlan([], (0, 0))
    lengths = [[lesson.length for lesson in group] for group in plan.groups]
    epoch = Reading.of(lengths, rows=len(task.rows) * tunes, longest=_longest(plan, seed=task.seed))
    judged = _judged(task)
    epochs = settings.epochs * tunes
    passes = epochs + (recipe.answers.calibration != "none")
    asked = shape.vocabulary if answers.slots > 1 else len(answers.words)
    work = [_work(reading, count, answers.slots, asked) for reading, count in ((epoch, epochs), (judged, passes))]
    flops = tuning_flops(shape, work[0], settings) * tunes + tuning_flops(shape, work[1], _ANSWERING)
    device = task.tuned.language_model.device
    speed = measure_speed(device, dtype=getattr(torch, settings.precision))
    lean = settings.model_copy(update={"gradient_checkpointing": True})
    memory, least = (
        tuning_memory(shape, work[0 if tunes else 1], one, weight_bytes=_weight_bytes(task)) for one in (settings, lean)
    )
    return Forecast(
        method=settings.method,
        epoch=epoch,
        judged=judged,
        epochs=epochs,
        passes=passes,
        steps=epochs * -(-len(plan) // settings.accumulate),
        shape=shape,
        context=task.tuned.language_model.span_limit,
        memory=memory,
        lean=least.total,
        room=device_memory(device),
        flops=flops,
        speed=speed,
        hours=tuning_hours(flops, speed=speed),
        device=str(device),
        answers=tuple(zip(answers.words, answers.tokens, strict=True)),
    )


def _judged(task: Task) -> Reading:
    """Lay out the prompts of some validation users, and scale up to all validation rows."""
    rows = rows_of_some_users(task.context.log, task.choosing, wanted=_JUDGED_SAMPLE, seed=task.seed)
    if not len(rows):
        return Reading.of([], rows=0)
    trees = list(task.prompter.replay(task.context, rows, blind=False))
    lengths = [len(tree) for tree in trees]
    size = task.tuned.recipe.tuning.batch_tokens
    several = np.array_split(np.sort(lengths), -(-sum(lengths) // size))
    reading = Reading.of((part.tolist() for part in several), rows=len(rows), longest=_reach(trees))
    return reading.times(len(task.choosing) / len(rows))


def _longest(plan: EpochPlan, *, seed: int) -> int:
    """Lay out the longest lessons, and measure the longest prompt among them."""
    lessons = sorted((lesson for group in plan.groups for lesson in group), key=lambda lesson: -lesson.length)
    random = np.random.default_rng(seed)
    return _reach(lesson.tree(random) for lesson in lessons[:_LONGEST])


def _reach(trees: Iterable[PromptTree]) -> int:
    """Return the most tokens that stand up to a question's end, on its own way through a tree."""
    return max((int(tree.positions[tree.slots].max(initial=-1)) + 1 for tree in trees), default=0)


def _shape(task: Task) -> ModelShape:
    """Measure the model, from its configuration alone where it is a pretrained one."""
    recipe, model = task.tuned.recipe, task.tuned.language_model
    if isinstance(recipe.backbone, PretrainedBackbone):
        return ModelShape.of(sketch(recipe.backbone), recipe.tuning)
    shape = ModelShape.of(model.causal, recipe.tuning)
    parts = [] if model.channel is None else list(model.channel.modules())
    layers, tables = ([one for one in parts if isinstance(one, torch.nn.Embedding) is table] for table in (False, True))
    body, channel = _weights(layers), _weights(layers) + _weights(tables)
    tuned = channel if recipe.tuning.method == "full" else 0
    more = {"total": shape.total + channel, "body": shape.body + body, "tuned": shape.tuned + tuned}
    return replace(shape, **more)


def _weights(modules: Iterable[torch.nn.Module]) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters(recurse=False))


def _work(reading: Reading, count: int, slots: int, asked: int) -> Work:
    return Work(
        tokens=reading.padded * count,
        slots=reading.rows * slots * count,
        row_tokens=reading.row_tokens,
        batch_tokens=reading.batch_tokens,
        rows_per_slot=asked,
    )


def _weight_bytes(task: Task) -> int:
    """Give the bytes of a weight: 4, or 2 where the recipe keeps weights in bfloat16."""
    return 2 if getattr(task.tuned.recipe.backbone, "dtype", "float32") == "bfloat16" else 4


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
