"""The loop step by step: the rate of each step, what decays, and how batches add up to a step."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from worlds import planted_world, small_recipe

from recollect.data.splits import split_by_time
from recollect.progress import SILENT
from recollect.tuning.batches import EpochPlan
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.loop import TuningLoop
from recollect.tuning.run import prepare

QUIET = ("tuning.hidden_events=0", "channel.cold=0", "channel.dropout=0", "tuning.within=0")
"""Nothing is hidden at random, and no loss spans a batch: then it does not matter how lessons are batched."""


@pytest.fixture
def make_loop(tmp_path):
    """Make the loop of a tiny stream recipe, always with the same weights and lessons."""
    world = planted_world()

    def make(*more: str) -> TuningLoop:
        task = prepare(world, recipe=small_recipe(*QUIET, *more), split=split_by_time(world.log))
        checkpoint = CheckpointFile(tmp_path / "checkpoint", "")
        return TuningLoop(task.tuned, epochs=task.epochs, judge=lambda: None, checkpoint=checkpoint)

    return make


@pytest.mark.parametrize(
    ("schedule", "epoch", "batch", "step", "share"),
    [
        ("linear", 0, 0, 0, 1 / 4),
        ("linear", 0, 2, 2, 3 / 4 * (0.2 + 0.8 * 0.9)),
        ("linear", 0, 5, 5, 0.2 + 0.8 * 0.75),
        ("linear", 1, 0, 10, 0.2 + 0.8 * 0.5),
        ("linear", 1, 10, 20, 0.2),
        ("cosine", 0, 0, 0, 1 / 4),
        ("cosine", 0, 2, 2, 3 / 4 * (0.2 + 0.8 * (1 + math.cos(math.pi / 10)) / 2)),
        ("cosine", 0, 5, 5, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2),
        ("cosine", 1, 0, 10, 0.2 + 0.8 * 0.5),
        ("cosine", 1, 10, 20, 0.2),
    ],
)
def test_the_rate_warms_up_and_falls_to_the_floor(make_loop, schedule, epoch, batch, step, share):
    """Two epochs of ten batches, four steps of warm-up, a floor of a fifth."""
    loop = make_loop(f"tuning.schedule={schedule}", "tuning.epochs=2", "tuning.warmup=4", "tuning.floor=0.2")
    loop.state = replace(loop.state, epoch=epoch, batch=batch, step=step)
    assert loop._schedule(10) == pytest.approx(share)


def test_the_optimiser_steps_at_the_scheduled_rate(make_loop):
    loop = make_loop("tuning.rate=0.01", "tuning.warmup=4", "tuning.floor=1")
    plan = loop.epochs.plan(0)
    rates = []
    for _ in range(5):
        loop._advance(plan)
        rates += [{group["lr"] for group in loop.optimizer.param_groups}]
    assert rates == [{0.0025}, {0.005}, {0.0075}, {0.01}, {0.01}]


def test_every_tuned_weight_is_in_the_optimiser(make_loop):
    loop = make_loop()
    decays, stays = (group["params"] for group in loop.optimizer.param_groups)
    assert {weight.ndim for weight in decays} == {2}
    assert {weight.ndim for weight in stays} == {1}
    assert {id(one) for one in [*decays, *stays]} == {id(one) for one in loop.model.parameters() if one.requires_grad}


@pytest.mark.parametrize("cut", [2, 3], ids=["halves", "a third and the rest"])
def test_batches_that_accumulate_are_one_batch(make_loop, cut):
    """One step from two batches is the step from one that holds the lessons of both."""
    whole, parts = make_loop("tuning.clip=1e9"), make_loop("tuning.clip=1e9", "tuning.accumulate=2")
    lessons = [lesson for group in whole.epochs.plan(0).groups[:6] for lesson in group]
    half = len(lessons) // cut
    whole._advance(EpochPlan([lessons], (0, 0)))
    parts._advance(EpochPlan([lessons[:half], lessons[half:]], (0, 0)))
    assert (parts.state.step, parts.state.answered) == (1, whole.state.answered)
    assert parts.state.loss == pytest.approx(whole.state.loss, abs=1e-6)
    for one, other in zip(whole.weights, parts.weights, strict=True):
        first, second = (loop.optimizer.state[weight] for loop, weight in ((whole, one), (parts, other)))
        torch.testing.assert_close(second["exp_avg"], first["exp_avg"], rtol=1e-4, atol=1e-8)  # a tenth of the gradient
        torch.testing.assert_close(other.detach(), one.detach(), rtol=0, atol=1e-6)


def test_it_learns_in_bfloat16_too(make_loop):
    """The passes are computed in bfloat16; weights stay float32."""
    changes = ("tuning.rows=60", "tuning.epochs=20", "tuning.rate=0.01")
    half, full = (make_loop(f"tuning.precision={kind}", *changes) for kind in ("bfloat16", "float32"))
    batch = half.epochs.plan(0).batch(0)
    assert 0 < abs(half._loss(batch)[1] - full._loss(batch)[1]) < 0.02
    losses = [epoch["loss"] for epoch in half.run(progress=SILENT).losses]
    assert losses[-1] < losses[0] - 0.1
    assert {weight.dtype for weight in half.weights} == {torch.float32}


def test_lessons_of_a_batch_are_of_like_length(make_loop):
    """Whatever the order of the batches, none begins below the longest lesson of a shorter one."""
    groups = make_loop("tuning.batch_tokens=256").epochs.plan(0).groups
    spans = sorted((min(lengths), max(lengths)) for lengths in ([one.length for one in group] for group in groups))
    assert len(spans) > 5
    assert len(np.unique(spans)) > 1
    assert all(longest <= shortest for (_, longest), (shortest, _) in pairwise(spans))
