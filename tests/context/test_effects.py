"""Effects as values: pools, losses and scores, and the contract that every measure keeps."""

from dataclasses import replace

import numpy as np
import pytest
from one_head import genre_head, line_of
from planted import draw_person, load_decoder, measures

from recollect.context.effects import DemonstrationMeasure, EffectSettings, Pool, losses, make_pool, score
from recollect.errors import UsageError

LINE = line_of(items=[0, 4, 1, 5, 8, 2, 0, 9], labels=[True, True, False, True, True, False, True, False])


def pool_of(*, cross_fit: str = "past", **others: float) -> Pool:
    return make_pool(LINE, len(LINE), EffectSettings.model_validate({"cross_fit": cross_fit, **others}))


@pytest.mark.parametrize(
    ("cross_fit", "seen"),
    [("past", [3, 4, 5, 6, 7]), ("self", [7, 7, 7, 7, 7])],
    ids=["what was known", "all but itself"],
)
def test_queries_see_what_the_cross_fit_allows(cross_fit, seen):
    pool = pool_of(cross_fit=cross_fit, support=5)
    assert pool.support.tolist() == [3, 4, 5, 6, 7]
    assert pool.visible.sum(axis=1).tolist() == seen
    assert not pool.visible[np.arange(5), pool.support].any()


def test_a_pool_ends_where_knowledge_does_and_weighs_late_answers_more():
    pool = make_pool(LINE, 6, EffectSettings(pool=4, support=3, half_life=2.0))
    assert pool.demonstrations.tolist() == [2, 3, 4, 5]
    assert pool.support.tolist() == [3, 4, 5]
    assert pool.labels.tolist() == [1, 1, 0]
    np.testing.assert_allclose(pool.weights[1:] / pool.weights[:-1], 2**0.5)
    assert pool.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("known", [0, 1])
def test_too_few_events_are_refused(known):
    with pytest.raises(UsageError, match="too few solved events"):
        make_pool(LINE, known, EffectSettings())


def test_a_late_answer_teaches_no_query_before_it_was_known():
    late = replace(LINE, visible=np.zeros(len(LINE), np.int32))
    with pytest.raises(UsageError, match="too few solved events"):
        make_pool(late, len(late), EffectSettings())


def test_scores_leave_hidden_entries_out():
    pool = pool_of(support=3)
    effect = np.where(pool.visible, 2.0, 0.0)
    effect[-1, 6] = 5.0  # the one entry of a candidate that a single query saw
    found = score(pool, effect)
    np.testing.assert_allclose(found.mean, [2, 2, 2, 2, 2, 2, 5, 0])
    assert found.seen.tolist() == [3, 3, 3, 3, 3, 2, 1, 0]
    np.testing.assert_allclose(found.error[:6], 0, atol=1e-12)
    assert np.isinf(found.error[6:]).all()


def test_losses_are_those_of_the_true_answers():
    pool = pool_of(support=2)
    found = losses(pool, np.log(np.array([[[0.25, 0.75], [0.5, 0.5]]])))
    np.testing.assert_allclose(found, -np.log([[0.75, 0.5]]))


@pytest.fixture(params=["one head", "decoder"])
def case(request: pytest.FixtureRequest) -> tuple[DemonstrationMeasure, Pool]:
    if request.param == "one head":
        return genre_head(), pool_of()
    person = draw_person(3, events=8, foreign=0.0)
    return measures(load_decoder())(person), person.gather(person.line, 8, EffectSettings())


class TestMeasureContract:
    """What every measure of demonstrations keeps."""

    gates = np.array([1.0, 0.2, 1.0, 1.0, 0.5, 1.0, 2.0, 1.0])

    def test_predictions_are_normalised_and_each_set_stands_alone(self, case):
        measure, pool = case
        gates = np.array([self.gates, np.zeros(8), np.ones(8)])
        together = measure.predictions(pool, gates)
        np.testing.assert_allclose(np.exp(together).sum(axis=2), 1, atol=1e-6)
        for number, one in enumerate(gates):
            np.testing.assert_allclose(measure.predictions(pool, one[None])[0], together[number], atol=1e-5)

    def test_what_a_query_may_not_see_changes_nothing_for_it(self, case):
        measure, pool = case
        hidden = np.ones((2, 8))
        hidden[1, 5:] = 0.0
        predictions = measure.predictions(pool, hidden)
        blind = ~pool.visible[:, 5:].any(axis=1)
        np.testing.assert_allclose(predictions[0, blind], predictions[1, blind], atol=1e-5)
        assert np.abs(predictions[0, ~blind] - predictions[1, ~blind]).max() > 0.01
        assert (measure.effects(pool, np.ones(8)).effect[~pool.visible] == 0).all()

    def test_effects_are_the_derivative_of_the_loss(self, case):
        (measure, pool), step = case, 1e-2
        found = measure.effects(pool, self.gates)
        steps = np.exp(step * np.eye(8))
        up = losses(pool, measure.predictions(pool, self.gates * steps))
        down = losses(pool, measure.predictions(pool, self.gates / steps))
        expected = (down - up).T / (2 * step)
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(found.effect, expected, atol=1e-3 * np.abs(expected).max() + 1e-4)

    def test_shares_and_overlaps_are_in_range(self, case):
        measure, pool = case
        found = measure.effects(pool, np.ones(8))
        assert found.share.min() >= 0
        assert found.share.sum(axis=1).max() <= 1 + 1e-6
        np.testing.assert_allclose(found.overlap, found.overlap.T, atol=1e-6)
        np.testing.assert_allclose(np.diag(found.overlap), 1)
        assert np.abs(found.overlap).max() <= 1 + 1e-6
