"""Signs of collapse are seen where they are, and only there; effects hold over random halves."""

from dataclasses import replace

import numpy as np
import pytest
from one_head import OneHead, genre_head, line_of

from recollect.context.effect_monitors import dropout_effects, monitor
from recollect.context.effects import EffectSettings, Pool, make_pool
from recollect.errors import UsageError

HEAD = genre_head()
LINE = line_of([0, 4, 8, 1, 5, 9, 2, 6, 12], [True, True, True, False, False, False, True, True, True])
SETTINGS = EffectSettings(cross_fit="self")


def pool_of(items: list[int] | None = None) -> Pool:
    line = LINE if items is None else line_of(items, LINE.labels.tolist())
    return make_pool(line, len(line), SETTINGS)


def warnings_of(head: OneHead, pool: Pool) -> str:
    ones = np.ones(len(pool))
    return "; ".join(monitor(pool, head.effects(pool, ones), head.predictions(pool, ones[None])[0]).warnings)


def test_a_sound_set_raises_no_warning():
    assert warnings_of(genre_head(near=0.2, far=0.02, trust=2.0), pool_of()) == ""


@pytest.mark.parametrize(
    ("head", "warning"),
    [
        (genre_head(near=500.0, far=30.0), "of the attention: the model copies"),
        (genre_head(near=60.0, far=0.1), "those of the demonstration attended to most"),
        (genre_head(near=60.0, far=0.1, trust=12.0), "all but certain"),
    ],
    ids=["all attention", "all answers", "all certain"],
)
def test_collapse_is_named(head, warning):
    assert warning in warnings_of(head, pool_of())


def test_repeated_items_and_a_single_direction_are_named():
    found = warnings_of(HEAD, pool_of([0, 4, 8, 1, 5, 9, 2, 6, 0]))
    assert "1 demonstrations repeat an item" in found

    pool = pool_of()
    first = replace(pool, demonstrations=np.arange(3), visible=np.tile(pool.support[:, None] > 2, 3))
    assert "push in one direction" in warnings_of(HEAD, first)


def test_shares_are_weighed_over_the_support():
    pool = pool_of()
    ones = np.ones(len(pool))
    effects = HEAD.effects(pool, ones)
    found = monitor(pool, effects, HEAD.predictions(pool, ones[None])[0])
    assert found.moved == pytest.approx(float(effects.share.sum(axis=1) @ pool.weights))
    assert 1 < found.rank <= len(pool)


def test_dropout_effects_find_what_helps_and_what_misleads():
    line = line_of([0, 4, 8, 12, 16, 20], [True, True, True, False, True, True])
    pool = make_pool(line, 6, SETTINGS)
    found = dropout_effects(HEAD, pool, random=np.random.default_rng(0), pairs=64)
    assert found.mean.argmin() == 3
    assert found.robust(2.0)[3] < 0
    assert (found.mean[[0, 1, 2, 4, 5]] > 0).all()
    assert (found.robust(1.0) < found.mean).all()


def test_dropout_needs_two_pairs():
    with pytest.raises(UsageError, match="2 pairs or more"):
        dropout_effects(HEAD, pool_of(), random=np.random.default_rng(0), pairs=1)
