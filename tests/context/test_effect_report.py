"""The demonstration report: figures that can be checked by hand, in a world whose losses are known in closed form."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from jaxtyping import Float64, Int64
from worlds import planted_world

from recollect.context.effect_readings import path_effects, take_readings
from recollect.context.effect_report import report_demonstrations
from recollect.context.effect_stages import Optimiser
from recollect.context.effect_watch import Watcher
from recollect.context.effects import Effects, EffectSettings, Pool, losses, make_pool
from recollect.context.evidence import Context
from recollect.data.past import PastRule
from recollect.errors import UsageError

WORLD = planted_world()
LINE = Context(WORLD.log, rule=PastRule(), prior=0.5).timeline(0)
SETTINGS = EffectSettings(pool=10, support=12)


@dataclass(frozen=True, eq=False)
class LinearMeasure:
    """A model whose log-odds of a like are a sum over visible demonstrations: each speaks for or against its genre."""

    weight: float = 0.4

    def tokens(self, pool: Pool) -> Int64[np.ndarray, " N"]:
        return 10 + pool.demonstrations % 3

    def votes(self, pool: Pool) -> Float64[np.ndarray, "Q N"]:
        """What each demonstration adds to the log-odds of each query."""
        items, asked = pool.line.items[pool.demonstrations], pool.line.items[pool.support]
        same = np.where(items[None] % 3 == asked[:, None] % 3, 1.0, -0.5)
        return self.weight * same * np.where(pool.line.labels[pool.demonstrations], 1, -1) * pool.visible

    def predictions(self, pool: Pool, gates: Float64[np.ndarray, "S N"]) -> Float64[np.ndarray, "S Q A"]:
        odds = gates @ self.votes(pool).T
        return np.stack([-np.logaddexp(0, odds), -np.logaddexp(0, -odds)], axis=2)

    def effects(self, pool: Pool, gates: Float64[np.ndarray, " N"]) -> Effects:
        predictions = self.predictions(pool, gates[None])
        votes, likes = self.votes(pool) * gates, np.exp(predictions[0, :, 1])
        kind = pool.line.items[pool.demonstrations] % 3 + 3 * pool.line.labels[pool.demonstrations]
        share = pool.visible / (1 + pool.visible.sum(axis=1, keepdims=True))
        overlap = (kind[None] == kind[:, None]).astype(np.float64)
        return Effects(losses(pool, predictions)[0], (pool.labels - likes)[:, None] * votes, share, overlap)


MEASURE = LinearMeasure()
POOL = make_pool(LINE, len(LINE), SETTINGS)


@pytest.fixture(scope="module")
def report():
    return report_demonstrations(MEASURE, POOL, WORLD.catalog, shown=[int(POOL.demonstrations[0])], exact=True)


def test_parts_sum_to_the_effect_of_the_set():
    parts = path_effects(MEASURE, POOL).sum(axis=1)
    without, whole = losses(POOL, take_readings(MEASURE, POOL).sets)[[0, 2]]
    assert parts == pytest.approx(without - whole, abs=1e-3)


def test_the_set_is_told_by_its_losses(report):
    whole = report.whole
    assert whole.zero_shot == pytest.approx(np.log(2))
    assert whole.effect == pytest.approx(whole.zero_shot - whole.in_context)
    assert whole.relative == pytest.approx(whole.effect / np.log(2))
    assert (whole.demonstrations, whole.queries) == (len(POOL), len(POOL.support))
    assert whole.tokens == MEASURE.tokens(POOL).sum()
    assert whole.hit_rate[0] == 0  # a coin hits nothing
    assert whole.divergence > 0
    assert whole.path_gap < 0.01
    assert sum(line.path for line in report.lines if line.path is not None) == pytest.approx(whole.effect, abs=1e-3)


def test_leaving_one_out_is_measured_exactly(report):
    line = report.lines[0]
    gates = np.ones((2, len(POOL)))
    gates[1, 0] = 0
    whole, without = losses(POOL, MEASURE.predictions(POOL, gates))
    seen = POOL.visible[:, 0]
    lost = POOL.weights[seen] @ (without - whole)[seen] / POOL.weights[seen].sum()
    assert line.leave_one_out == pytest.approx(lost)
    assert line.per_100_tokens == pytest.approx(100 * line.effect / line.tokens)


def test_what_nobody_saw_was_not_measured(report):
    hidden = [line for line in report.lines if not line.seen]
    assert hidden  # the last event is earlier than no question
    for line in hidden:
        assert {line.effect, line.error, line.path, line.helped, line.attention, line.verdict, line.similar} == {None}


def test_a_line_tells_what_it_is_about(report):
    line, event = report.lines[0], int(POOL.demonstrations[0])
    assert (line.event, line.item, line.liked) == (
        event,
        WORLD.catalog.ids[LINE.items[event]],
        bool(LINE.labels[event]),
    )
    assert [one.shown for one in report.lines] == [True, *[False] * (len(POOL) - 1)]


def stated(effects: list[list[float]], overlap: float):
    """Make a measure that states effects of demonstrations of which any two overlap alike."""
    found = np.array(effects)
    count = found.shape[1]

    class Stated(LinearMeasure):
        def effects(self, pool, gates):  # noqa: ARG002 - it states them
            same = np.where(np.eye(count, dtype=bool), 1.0, overlap)
            return Effects(np.ones(len(found)), found, np.full(found.shape, 0.1), same)

    return Stated()


def small_pool(queries: int, demonstrations: int) -> Pool:
    """Make a pool in which every query sees every demonstration and all weigh alike."""
    support = np.arange(10, 10 + queries)
    return replace(
        POOL, known=len(LINE), demonstrations=np.arange(demonstrations), support=support,
        visible=np.ones((queries, demonstrations), np.bool_), weights=np.full(queries, 1 / queries),
        labels=LINE.labels[support].astype(np.int64),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("effects", "overlap", "verdicts"),
    [
        ([[0.3, -0.3, 0.1], [0.3, -0.3, -0.1]], 0.0, ["helps", "harmful?", "neutral"]),
        ([[0.3, 0.2, 0.1], [0.3, 0.2, 0.1]], 0.99, ["helps", "redundant", "redundant"]),
        ([[0.2, 0.2], [0.2, 0.2]], 1.0, ["redundant", "helps"]),
        ([[0.3, -0.3], [0.3, -0.3]], 1.0, ["helps", "harmful?"]),
        ([[5e-4, -5e-4], [5e-4, -5e-4]], 0.0, ["neutral", "neutral"]),
        ([[0.3, -0.3]], 0.0, ["neutral", "neutral"]),
    ],
    ids=["clear and not", "the same thrice", "twins", "harm is told first", "noise", "one query"],
)
def test_verdicts(effects, overlap, verdicts):
    pool = small_pool(len(effects), len(effects[0]))
    found = report_demonstrations(stated(effects, overlap), pool, WORLD.catalog, points=1)
    assert [line.verdict for line in found.lines] == verdicts


@pytest.mark.parametrize("queries", [2, 3, 5])
def test_without_any_effect_few_verdicts_are_wrong_however_few_the_queries(queries):
    random = np.random.default_rng(0)
    verdicts = [
        line.verdict
        for _ in range(40)
        for line in report_demonstrations(
            stated(random.normal(0, 0.1, (queries, 10)).tolist(), 0.0),
            small_pool(queries, 10),
            WORLD.catalog,
            points=1,
        ).lines
    ]
    assert np.mean([verdict != "neutral" for verdict in verdicts]) < 0.08


def test_only_measured_candidates_are_compared():
    pool = small_pool(3, 3)
    pool = replace(pool, visible=np.array([[True, True, False]] * 3))
    found = report_demonstrations(stated([[0.1, 0.2, 0.0]] * 3, -0.5), pool, WORLD.catalog, points=1)
    assert [line.redundancy for line in found.lines] == [-0.5, -0.5, None]
    assert [line.similar for line in found.lines] == [found.lines[1].item, found.lines[0].item, None]


def test_of_one_answer_no_error_is_told():
    found = report_demonstrations(stated([[0.3, -0.3]], 0.0), small_pool(1, 2), WORLD.catalog, points=1)
    assert found.whole.error is None


def test_a_strength_that_gains_nothing_to_speak_of_is_no_warning(report):
    assert not any("strength" in text for text in report.warnings)


def test_the_strongest_are_those_of_largest_effect_up_or_down():
    effects = [[0.1, -0.4, 0.3, 0.2]] * 2
    found = report_demonstrations(stated(effects, 0.0), small_pool(2, 4), WORLD.catalog, points=1)
    assert [line.effect for line in found.strongest(3)] == pytest.approx([0.3, 0.2, -0.4])
    assert len(found.to_json(2)["demonstrations"]) == 2


def test_few_questions_and_a_set_that_hurts_are_warned_of():
    found = report_demonstrations(LinearMeasure(weight=-1.0), make_pool(LINE, 9, SETTINGS), WORLD.catalog)
    assert any("few support queries" in text for text in found.warnings)
    assert any("hurt" in text for text in found.warnings)
    assert found.lines[0].single is None
    assert found.lines[0].shown is None


def served(pool: Pool, sets: np.ndarray) -> np.ndarray:
    return MEASURE.predictions(pool, sets.astype(np.float64))


def test_watching_asks_each_event_before_it_is_known():
    watcher = Watcher(served, Optimiser(MEASURE, SETTINGS, 3), WORLD.catalog, 3)
    watch = watcher.watch(LINE, events=5)
    assert [event.asked.event for event in watch.events] == list(range(len(LINE) - 5, len(LINE)))
    for event in watch.events:
        assert event.known == LINE.visible[event.asked.event]
        assert all(one.event < event.known for one in event.shown)
        assert event.none == pytest.approx(np.log(2))
        if event.kind == "none":
            assert event.chosen == event.none
    for before, after in zip(watch.events, watch.events[1:], strict=False):
        assert {*before.shown} - {*after.left} | {*after.entered} == {*after.shown}
    assert watch.to_json()["losses"]["none"] == pytest.approx(np.log(2))


def test_nobody_is_watched_without_events():
    with pytest.raises(UsageError, match="no event to watch"):
        Watcher(served, Optimiser(MEASURE, SETTINGS, 3), WORLD.catalog, 3).watch(LINE.until(1), events=5)
