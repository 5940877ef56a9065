"""Arms: a person stays with one model, shares are kept, and a switch is one value."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from worlds import planted_world, small_recipe, untuned

from recollect.errors import UsageError
from recollect.rank.recommender import Recommender
from recollect.run.tuned import digest_of
from recollect.service.arms import Arm, Arms, place
from recollect.service.light import LightRanker


@pytest.fixture(scope="module")
def arm():
    """Three arms by name; they share a model, which nobody asks here."""
    world = planted_world(users=4, items=6, events=12)
    recommender = Recommender(untuned(world, small_recipe()), world)
    light = LightRanker(recommender)
    backbone = digest_of(recommender.model.causal)
    return {name: Arm(name, Path(name), name, backbone, recommender, light) for name in "abc"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_an_arm_answers_its_share(arm, share):
    arms = Arms(arm["a"], arm["b"], share)
    answered = [arms.of(str(number)) is arm["b"] for number in range(4000)]
    assert np.mean(answered) == pytest.approx(share, abs=0.02)
    assert (arms.share_of(arm["a"]), arms.share_of(arm["b"])) == (1 - share, share)


def test_a_changed_weight_is_noticed(arm):
    weight = next(arm["a"].recommender.model.causal.parameters())
    assert arm["a"].is_untouched()
    with torch.no_grad():
        weight[0] += 1
    assert not arm["a"].is_untouched()
    with torch.no_grad():
        weight[0] -= 1


@given(user=st.text(max_size=10))
def test_a_user_has_one_place(user):
    assert 0 <= place(user) < 1
    assert place(user) == place(user)


def test_who_is_answered_by_the_second_stays_so_when_its_share_grows(arm):
    small, large = Arms(arm["a"], arm["b"], 0.2), Arms(arm["a"], arm["b"], 0.4)
    moved = [user for user in map(str, range(500)) if small.of(user) is arm["b"]]
    assert moved
    assert all(large.of(user) is arm["b"] for user in moved)


@pytest.mark.parametrize(
    ("before", "activated", "share", "after"),
    [
        ("a", "b", None, "b"),
        ("a", "b", 0.3, "ab"),
        ("ab", "b", 0.6, "ab"),
        ("ab", "b", None, "b"),
        ("ab", "a", None, "a"),
        ("ab", "a", 0.2, "ba"),
        ("ab", "c", 0.2, "ac"),
        ("a", "a", 0.5, "a"),
    ],
)
def test_switching(arm, before, activated, share, after):
    old = Arms(*(arm[name] for name in before), *([0.5] if len(before) == 2 else []))
    new = old.switched(arm[activated], share=share)
    assert "".join(one.name for one in new) == after
    assert sum(new.share_of(one) for one in new) == pytest.approx(1)
    assert "".join(one.name for one in old) == before


def test_a_share_out_of_range_is_refused(arm):
    with pytest.raises(UsageError):
        Arms(arm["a"], arm["b"], 1.2)
