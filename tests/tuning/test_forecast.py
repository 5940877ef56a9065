"""The forecast: what is counted is what tuning reads, and what does not run costs nothing."""

import json
from dataclasses import replace

import pytest
from backbones import write_backbone
from worlds import planted_world, small_block, small_recipe

from recollect.data.splits import split_by_time
from recollect.model.settings import PretrainedBackbone
from recollect.recipe import load_recipe
from recollect.tuning.forecast import forecast
from recollect.tuning.outline import outline
from recollect.tuning.run import prepare

WORLD = planted_world()
SPLIT = split_by_time(WORLD.log)


def expected(*more: str, name: str = "recicl"):
    return forecast(prepare(WORLD, recipe=small_block(name, *more), split=SPLIT, seed=0))


@pytest.mark.parametrize("recipe", [small_recipe(), small_block("tallrec"), small_block("recicl")])
def test_tokens_are_those_that_an_epoch_reads(recipe):
    task = prepare(WORLD, recipe=recipe, split=SPLIT, seed=0)
    found = forecast(task)
    batches = [batch.packed for batch in task.epochs.plan(0).batches()]
    padded = sum(packed.tokens.size for packed in batches)
    assert 0.95 * found.epoch.padded <= padded <= 1.3 * found.epoch.padded
    assert found.epoch.rows == len(SPLIT.train) == sum(len(packed.slots) for packed in batches)
    assert found.steps == len(batches) * recipe.tuning.epochs
    assert found.judged.rows == len(SPLIT.valid)


def test_epochs_multiply_and_accumulation_divides():
    once, often = expected(), expected("tuning.epochs=3", "tuning.accumulate=2")
    assert often.epoch == once.epoch
    assert (often.epochs, often.passes) == (3, 4)
    assert often.steps == 3 * -(-once.steps // 2)
    assert 1.9 * once.flops < often.flops < 3 * once.flops


def test_a_model_that_stays_as_it_is_only_answers():
    found = expected("tuning.method=none", name="tallrec")
    assert (found.method, found.epochs, found.passes, found.steps) == ("none", 0, 1, 0)
    assert found.epoch.tokens == found.memory.gradients == found.shape.tuned == 0
    assert found.flops > 0
    assert not {"an epoch", "in all"} & {name for name, _ in found.facts()}


def test_a_few_rows_take_less():
    assert expected("tuning.rows=50").epoch.tokens < expected().epoch.tokens / 2


def test_a_soft_channel_counts_among_the_weights():
    task = prepare(WORLD, recipe=small_recipe(), split=SPLIT, seed=0)
    weights = sum(weight.numel() for weight in task.tuned.language_model.parameters())
    assert forecast(task).shape.tuned == weights


def test_an_adapter_takes_little_more_than_the_model(tmp_path):
    backbone = PretrainedBackbone(name=str(write_backbone("llama", tmp_path / "llama", max_position_embeddings=2048)))
    lora, full = (
        load_recipe("tallrec", overrides=[f"tuning.method={method}"]).model_copy(update={"backbone": backbone})
        for method in ("lora", "full")
    )
    small, large = (forecast(outline(WORLD, recipe, split=SPLIT, seed=0)) for recipe in (lora, full))
    assert small.shape.tuned == small.shape.adapter < large.shape.tuned / 5
    assert small.memory.total < large.memory.total
    assert small.context == 2048


@pytest.mark.parametrize("recipe", [small_recipe(), small_block("tallrec"), small_block("recicl")])
def test_the_longest_prompt_is_the_farthest_position_of_a_question(recipe):
    task = prepare(WORLD, recipe=recipe, split=SPLIT, seed=0)
    packed = [batch.packed for batch in task.epochs.plan(0).batches()]
    farthest = max(int(one.positions[tuple(one.slots.T)].max()) for one in packed)
    assert forecast(task).epoch.longest == farthest + 1
    assert forecast(task).epoch.longest < max(one.tokens.shape[1] for one in packed)


def test_prompts_that_the_model_cannot_read_are_told():
    short = small_recipe("backbone.positions=64", channel="text")
    found = forecast(prepare(WORLD, recipe=short, split=SPLIT, seed=0))
    assert max(found.epoch.longest, found.judged.longest) > found.context == 64
    assert "backbone.positions" in dict(found.facts())["too long"]
    assert "too long" not in dict(expected().facts())


def test_json_and_facts_hold_what_people_ask_for():
    found = expected()
    stored = json.loads(json.dumps(found.to_json()))
    assert stored["memory"]["total"] == found.memory.total
    assert [answer["word"] for answer in stored["answers"]] == ["no", "yes"]
    facts = dict(found.facts())
    assert f"{found.epoch.tokens:,} tokens" in facts["an epoch"]
    assert facts["hours"].startswith("about")


def test_what_does_not_fit_says_what_would():
    found = expected()
    assert found.room is None or "does not fit" not in dict(found.facts())
    tight = replace(found, room=found.lean)
    assert "tuning.gradient_checkpointing=true" in dict(tight.facts())["does not fit"]
    assert "tuning.batch_tokens" in dict(replace(tight, lean=found.memory.total).facts())["does not fit"]
