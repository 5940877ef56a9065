"""A task laid out without its language model: the rows and prompts of the real one."""

from shutil import copytree

import numpy as np
import pytest
from backbones import write_backbone
from transformers import AutoTokenizer
from worlds import planted_world, small_recipe

from recollect.data.splits import split_by_time
from recollect.errors import ModelError, UsageError
from recollect.model.settings import PretrainedBackbone
from recollect.recipe import load_recipe
from recollect.tuning.outline import outline
from recollect.tuning.run import prepare

WORLD = planted_world()
SPLIT = split_by_time(WORLD.log)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return write_backbone("llama", tmp_path_factory.mktemp("backbone") / "llama", max_position_embeddings=2048)


def block_recipe(name: str, backbone: object):
    recipe = load_recipe(name, overrides=["tuning.rows=100", "history.shown=4"])
    return recipe.model_copy(update={"backbone": PretrainedBackbone(name=str(backbone))})


@pytest.mark.parametrize("name", ["recicl", "tallrec"])
def test_it_has_the_rows_and_the_prompts_of_the_task(name, backbone):
    recipe = block_recipe(name, backbone)
    drawn = outline(WORLD, recipe, split=SPLIT, seed=3)
    real = prepare(WORLD, recipe=recipe, split=SPLIT, seed=3)
    np.testing.assert_array_equal(drawn.rows, real.rows)
    np.testing.assert_array_equal(drawn.choosing, real.choosing)
    assert drawn.tuned.answers == real.tuned.answers
    assert drawn.tuned.recipe == real.tuned.recipe == recipe
    for one, other in zip(drawn.epochs.plan(1).batches(), real.epochs.plan(1).batches(), strict=True):
        np.testing.assert_array_equal(one.packed.tokens, other.packed.tokens)


def test_it_needs_no_weights(backbone):
    tokenizer_only = backbone.parent / "without"
    tokenizer_only.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (tokenizer_only / name).write_bytes((backbone / name).read_bytes())
    recipe = block_recipe("rella", tokenizer_only)
    assert len(outline(WORLD, recipe, split=SPLIT, seed=0).epochs.plan(0)) > 0
    with pytest.raises(ModelError):
        prepare(WORLD, recipe=recipe, split=SPLIT)


def test_a_model_of_our_own_is_prepared_as_it_is():
    recipe = small_recipe()
    drawn, real = outline(WORLD, recipe, split=SPLIT, seed=1), prepare(WORLD, recipe=recipe, split=SPLIT, seed=1)
    assert drawn.tuned.digest() == real.tuned.digest()


@pytest.mark.parametrize(
    ("like", "dislike"),
    [("nope", "no"), ("abcd", "ab"), ("a", "b")],
)
def test_answers_are_judged_by_the_tokenizer_of_the_model(like, dislike, backbone):
    overrides = ["tuning.rows=100", f"answers.like={like}", f"answers.dislike={dislike}"]
    recipe = load_recipe("recicl", overrides=overrides)
    recipe = recipe.model_copy(update={"backbone": PretrainedBackbone(name=str(backbone))})
    told = []
    for way in (outline, prepare):
        try:
            told.append(way(WORLD, recipe=recipe, split=SPLIT, seed=0).tuned.answers)
        except ModelError as error:
            told.append(str(error))
    assert told[0] == told[1]


def test_a_chat_needs_the_template_of_the_model_alone(backbone):
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    tokenizer.chat_template = "{% for one in messages %}<begin>{{ one['content'] }}<end>{% endfor %}"
    chatting = copytree(backbone, backbone.parent / "chatting")
    tokenizer.save_pretrained(chatting)
    recipe = load_recipe("recicl", overrides=["tuning.rows=100", "layout.chat=true"])
    recipe = recipe.model_copy(update={"backbone": PretrainedBackbone(name=str(chatting))})
    drawn, real = (way(WORLD, recipe=recipe, split=SPLIT, seed=0) for way in (outline, prepare))
    assert drawn.epochs.plan(0).groups[0][0].length == real.epochs.plan(0).groups[0][0].length


def test_what_tuning_would_refuse_is_refused(tmp_path, backbone):
    with pytest.raises(ModelError):
        outline(WORLD, block_recipe("recicl", tmp_path / "nothing"), split=SPLIT, seed=0)
    more = load_recipe("recicl", overrides=["tuning.rows=9999"])
    recipe = more.model_copy(update={"backbone": PretrainedBackbone(name=str(backbone))})
    with pytest.raises(UsageError, match="9,999"):
        outline(WORLD, recipe, split=SPLIT, seed=0)
