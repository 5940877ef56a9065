"""Designs and the grids of the studies: the same rows for all, nested shots, one thing changed at a time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recollect.data.splits import split_by_time
from recollect.errors import DataError, UsageError
from recollect.studies.controls import controls_study, variants_of
from recollect.studies.delay import delay_study
from recollect.studies.design import Arm, Design
from recollect.studies.efficiency import efficiency_study
from recollect.studies.history import history_study
from recollect.studies.methods import FloorMethod, TunedMethod
from recollect.studies.shots import shots_study

BLOCK = Arm("recicl", "recicl", "small")
PLAIN = Arm("tallrec", "tallrec", "small")


@pytest.fixture(scope="module")
def papers(design):
    return Design(design.dataset, (BLOCK, PLAIN), design.split, seeds=(0, 1), rows=30)


def tuned(cells) -> list[TunedMethod]:
    return [cell.method for cell in cells if isinstance(cell.method, TunedMethod)]


def test_whole_users_are_asked_and_always_the_same(design):
    log, rows = design.dataset.log, design.asked
    assert 30 <= len(rows) < len(design.split.valid)
    chosen = np.isin(log.user[design.split.valid], log.user[rows])
    assert np.array_equal(design.split.valid[chosen], rows)


def test_of_each_user_some_rows_may_be_asked(design):
    log = design.dataset.log
    rows = replace(design, per_user=2, rows=10).asked
    asked, there = (np.unique(log.user[some], return_counts=True) for some in (rows, design.split.valid))
    assert 10 <= len(rows) <= 12
    counts = dict(zip(*there, strict=True))
    assert all(count == min(2, counts[user]) for user, count in zip(*asked, strict=True))


def test_delay_shows_the_same_weights(papers):
    methods = tuned(delay_study(delays=(0, 60)).cells(papers))
    assert len({method.run_key for method in methods}) == 2 * 2  # methods times seeds
    assert {method.shown_by.past.delay for method in methods} == {0, 60}
    assert {method.tuned_by.past.delay for method in methods} == {0}


def test_floors_suffer_the_same_delay(papers):
    cells = delay_study(delays=(0, 60)).cells(papers)
    delays = {(cell.place, floor.rule.delay) for cell in cells if isinstance(floor := cell.method, FloorMethod)}
    assert delays == {("none", 0), ("1 min", 60)}


def test_smaller_shots_lie_inside_larger_ones_and_floors_get_the_same_rows(papers):
    cells = shots_study(sizes=(64, 128, 10**6)).cells(papers)
    assert {method.tuned_by.tuning.rows for method in tuned(cells)} == {64, 128}
    for seed in (0, 1):
        small, large = (
            next(
                floor.train
                for cell in cells
                if isinstance(floor := cell.method, FloorMethod) and (cell.place, cell.seed) == (place, seed)
            )
            for place in ("64", "128")
        )
        assert (len(small), len(large)) == (64, 128)
        assert np.isin(small, large).all()


def test_history_changes_one_thing_at_a_time(papers):
    cells = history_study(demonstrations=(0, 8), shown=(1, 40)).cells(papers)
    shown = {
        (cell.series, cell.place): (
            cell.method.shown_by.demonstrations.count,
            cell.method.shown_by.history.shown,
            cell.method.shown_by.history.choice,
        )
        for cell in cells
        if isinstance(cell.method, TunedMethod)
    }
    assert shown["recicl, K demonstrations", "8"] == (8, 10, "recent")
    assert shown["recicl, K recent events", "40"] == (4, 40, "recent")
    assert shown["tallrec, K retrieved events", "1"] == (0, 1, "retrieved")
    assert list(dict.fromkeys(cell.place for cell in cells)) == ["0", "1", "8", "40"]


def test_a_stream_shows_windows_of_other_lengths(design):
    cells = [cell for cell in history_study(shown=(0, 2, 40)).cells(design) if not cell.floor]
    views = [method.shown_by.history for method in tuned(cells)]
    assert [(view.shown, view.evict) for view in views] == [(0, 1), (2, 2), (40, 4)]


def test_controls_break_what_the_layout_knows(arm):
    assert [one.place for one in variants_of(arm, demonstrations=4)] == ["as is", "without events"]
    last = {arm.name: variants_of(arm, demonstrations=4)[-1] for arm in (BLOCK, PLAIN)}
    assert last["recicl"].shown == ("demonstrations.count=0",)
    assert last["tallrec"].shown == ("demonstrations.count=4",)
    assert last["tallrec"].place == "demonstrations only at inference"


def test_controls_never_change_the_tuning(papers):
    methods = tuned(controls_study().cells(papers))
    assert len(methods) == 2 * 2 * 5
    assert len({method.run_key for method in methods}) == 2 * 2


def test_efficiency_tunes_both_forms_of_a_method_with_demonstrations(papers):
    cells = efficiency_study(epochs=(1, 2)).cells(papers)
    named = {
        (cell.series, method.tuned_by.tuning.supervise)
        for cell in cells
        if isinstance(method := cell.method, TunedMethod)
    }
    assert named == {("recicl, all answers", "all"), ("recicl, last answers", "last"), ("tallrec", "last")}


def test_a_run_that_is_there_has_one_seed(world, arm, tmp_path):
    run = Arm("run", arm.recipe, run=tmp_path)
    design = Design(world, (run,), split_by_time(world.log), seeds=(0, 1), rows=30)
    assert len(tuned(delay_study(delays=(0,)).cells(design))) == 1


def test_arms_must_differ_by_name(design):
    with pytest.raises(UsageError, match="cannot be told apart"):
        Design(design.dataset, (BLOCK, BLOCK), design.split)


@pytest.mark.parametrize(("arms", "seeds"), [((), (0,)), ((BLOCK,), ()), ((BLOCK,), (1, 1))])
def test_a_study_needs_arms_and_seeds(design, arms, seeds):
    with pytest.raises(UsageError, match="cannot be told apart"):
        Design(design.dataset, arms, design.split, seeds=seeds)


def test_a_part_without_rows_is_refused(design):
    whole = split_by_time(design.dataset.log, fractions=(0.9, 0.1, 0.0))
    with pytest.raises(DataError, match="a study without rows to ask about"):
        _ = Design(design.dataset, design.arms, whole, part="test").asked


def test_an_arm_of_a_run_reads_its_recipe():
    assert Arm.of_run(Path("runs") / "mine") == Arm("mine", str(Path("runs/mine/recipe.toml")), run=Path("runs/mine"))
