"""Studies end to end on a planted world: what they leave, and that nothing is computed twice."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from recollect.errors import DataError, UsageError
from recollect.evaluation.predictions import Predictions
from recollect.run.tuned import TunedModel
from recollect.studies.controls import controls_study
from recollect.studies.cost import TuningCost, body_weights, tokens_per_row
from recollect.studies.delay import delay_study
from recollect.studies.demonstrations import demonstrations_study
from recollect.studies.design import Arm, Design
from recollect.studies.efficiency import efficiency_study
from recollect.studies.history import history_study
from recollect.studies.periods import periods_study
from recollect.studies.report import render
from recollect.studies.result import Point, StudyResult
from recollect.studies.shots import shots_study
from recollect.studies.study import run_study


class Heard:
    """A progress that writes down what began, and may stop the work before one of them."""

    def __init__(self, *, stop_at: str = "nothing"):
        self.begun: list[str] = []
        self.stop_at = stop_at

    def start(self, label: str, total: int) -> None:  # noqa: ARG002
        if self.stop_at in label:
            raise KeyboardInterrupt
        self.begun.append(label)

    def advance(self, done: int, **facts: float) -> None:
        pass

    def finish(self, note: str = "") -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def heard():
    return Heard()


@pytest.fixture(scope="module")
def delayed(design, folder, heard):
    return run_study(delay_study(delays=(0, 50)), design, out=folder, progress=heard)


@pytest.fixture(scope="module")
def run(folder, delayed):  # noqa: ARG001 - the study makes it
    """The one run of the study."""
    return next(path for path in (folder / "runs").iterdir() if path.is_dir())


def at(result: StudyResult, series: str, place: str) -> Point:
    """Find a point that must be there."""
    point = result.at(series, place)
    assert point is not None
    return point


def test_one_tuning_serves_all_places(delayed, heard):
    assert sum("tuning" in label for label in heard.begun) == 1
    assert sum("replaying" in label for label in heard.begun) == 2
    assert heard.begun[-1].startswith("cell 2 of 10, tiny, 50 s: ")
    assert delayed.places == ["none", "50 s"]
    assert delayed.series[0] == "tiny"
    assert delayed.series[-1] == "logistic regression"


@pytest.mark.usefixtures("delayed")
def test_nothing_is_computed_twice(design, folder, delayed):
    again = Heard()
    assert run_study(delay_study(delays=(0, 50)), design, out=folder, progress=again) == delayed
    assert again.begun == []


@pytest.mark.usefixtures("delayed")
def test_another_study_shares_the_runs_of_a_folder(design, folder):
    heard = Heard()
    result = run_study(controls_study(), design, out=folder, progress=heard)
    assert len(heard.begun) == 1  # as is was known; without events was not
    assert "without the users' events" in heard.begun[0]
    assert result.places == ["as is", "without events"]


def test_a_study_that_was_stopped_goes_on(design, tmp_path, delayed):
    with pytest.raises(KeyboardInterrupt):
        run_study(delay_study(delays=(0, 50)), design, out=tmp_path, progress=Heard(stop_at="50 s"))
    assert not (tmp_path / "study.json").exists()
    heard = Heard()
    result = run_study(delay_study(delays=(0, 50)), design, out=tmp_path, progress=heard)
    assert len(heard.begun) == 1
    assert [point.auc for point in result.points] == [point.auc for point in delayed.points]


def test_what_is_written_reads_back_equal(folder, design, delayed):
    run_study(delay_study(delays=(0, 50)), design, out=folder)
    text = (folder / "study.json").read_text(encoding="utf-8")
    assert StudyResult.from_json(text) == delayed
    assert json.loads(text) == delayed.to_json()
    with pytest.raises(DataError, match="this is not a study"):
        StudyResult.from_json('{"study": 1}')


def test_every_cell_leaves_its_measures_and_predictions(folder, delayed, design):
    cells = [json.loads(file.read_text()) for file in (folder / "cells").glob("*.json")]
    mine = next(cell for cell in cells if (cell["series"], cell["place"]) == ("tiny", "none"))
    point = at(delayed, "tiny", "none")
    assert (mine["auc"], mine["uauc"], mine["rows"]) == (point.auc, point.uauc, point.rows)
    assert mine["tokens_per_row"] == point.tokens_per_row != 0
    file = next(file for file in (folder / "cells").glob("*.json") if json.loads(file.read_text()) == mine)
    assert np.array_equal(Predictions.load(file.with_suffix(".parquet")).rows, design.asked)


def test_tuning_is_counted(run, delayed, design):
    point = at(delayed, "tiny", "none")
    tuned = TunedModel.load(run)
    cost = TuningCost.model_validate_json(run.with_suffix(".json").read_text(encoding="utf-8"))
    assert (cost.rows, cost.epochs) == (len(design.split.train), 1)
    assert cost.weights == body_weights(tuned.language_model.causal)
    assert point.tuning_flops == cost.flops == 6 * cost.weights * cost.tokens
    assert cost.seconds is not None
    assert at(delayed, "logistic regression", "none").tuning_flops is None


def test_weights_outside_embeddings_are_counted_by_eye(run):
    causal = TunedModel.load(run).language_model.causal
    width, inner, layers, head = 16, 24, 2, 8
    attention = width * (2 * head + head + head) + 2 * head * width  # two queries, a key, a value; output
    layer = attention + 3 * width * inner + 2 * width + 2 * head  # feed-forward, two norms, norms of query and key
    assert body_weights(causal) == layers * layer + width


def test_fewer_tokens_are_laid_out_without_events(run, world, design):
    tuned = TunedModel.load(run)
    assert tokens_per_row(tuned, world, design.asked, blind=True) < tokens_per_row(tuned, world, design.asked)


def test_a_run_that_is_there_is_studied_as_it_is(run, world, delayed, design, tmp_path):
    given = Design(world, (Arm.of_run(run),), design.split, rows=30)
    result = run_study(delay_study(delays=(0, 50)), given, out=tmp_path)
    assert not (tmp_path / "runs").exists()
    assert at(result, run.name, "50 s").auc == at(delayed, "tiny", "50 s").auc


def test_the_matrix_of_periods_has_a_line_per_tuning(design, tmp_path):
    result = run_study(periods_study(count=5, ends=(1, 2)), design, out=tmp_path)
    assert result.places == ["D2", "D3", "D4"]
    assert result.series[:2] == ["tiny to D1", "tiny to D2"]
    assert result.at("tiny to D2", "D2") is None
    assert len([file for file in (tmp_path / "runs").iterdir() if file.is_dir()]) == 2
    kinds = [contrast.kind for contrast in result.contrasts]
    assert kinds == ["PDM", "PDM", "PDT", "PDT"]
    new, old = (at(result, f"tiny to D{end}", "D4").auc or np.nan for end in (2, 1))
    assert result.contrasts[1].gaps["auc"].value == pytest.approx(new - old)


def test_seeds_are_runs_of_their_own(world, arm, design, tmp_path):
    two = Design(world, (arm,), design.split, seeds=(0, 1), rows=30)
    result = run_study(delay_study(delays=(0,)), two, out=tmp_path)
    point = at(result, "tiny", "none")
    assert point.seeds == [0, 1]
    assert point.auc == pytest.approx(sum(value or np.nan for value in point.by_seed["auc"]) / 2)
    assert point.by_seed["log_loss"][0] != point.by_seed["log_loss"][1]


class Balance(HTMLParser):
    """Keep the elements that a page holds, and those left open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in {"meta", "br", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(folder, delayed):
    page = render(delayed)
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "http" not in page
    assert not {"link", "script", "img", "iframe"} & set(balance.seen)
    assert all(value.startswith("#") for name, value in balance.attributes if name in {"href", "src"})
    assert page.count("<svg") == 2
    assert "#0101" not in page
    assert (folder / "study.html").is_file()


def test_a_page_escapes_what_comes_from_data(delayed):
    hostile = '"><script>alert(1)</script>'
    points = [point.model_copy(update={"series": f"{point.series}{hostile}"}) for point in delayed.points]
    page = render(delayed.model_copy(update={"title": hostile, "notes": [hostile], "points": points}))
    assert "<script" not in page
    assert len(re.findall("&lt;script&gt;", page)) >= 4


def test_a_value_that_a_recipe_does_not_know_is_named_before_anything_starts(design, tmp_path):
    wrong = Design(design.dataset, (Arm("x", "stream", overrides=("tuning.epoch=1",)),), design.split)
    with pytest.raises(UsageError, match=r"tuning\.epoch"):
        run_study(delay_study(), wrong, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def papers(world, design):
    """Two methods of the block layout, tiny."""
    small = (
        "backbone.width=16", "backbone.layers=1", "backbone.heads=2", "backbone.key_value_heads=1",
        "backbone.feed_forward=24", "backbone.vocabulary=300", "vectors.text_width=4", "vectors.collaborative_width=3",
        "tuning.epochs=1", "tuning.rows=40", "tuning.draw='users'", "tuning.selection_rows=10",
        "history.shown=2", "answers.calibration='none'",
    )  # fmt: skip
    recicl, tallrec = (Arm(name, name, "small", small) for name in ("recicl", "tallrec"))
    solved = replace(recicl, overrides=(*small, "demonstrations.count=2"))
    return Design(world, (solved, tallrec), design.split, rows=16)


@pytest.fixture(scope="module")
def paper_folder(tmp_path_factory):
    """One folder for all studies of the two, so that each is tuned once."""
    return tmp_path_factory.mktemp("papers")


def test_controls_of_the_block_layout_change_what_is_said(papers, paper_folder):
    result = run_study(controls_study(demonstrations=2), papers, out=paper_folder)
    assert result.at("tallrec", "demonstrations only in tuning") is None
    for arm in ("recicl", "tallrec"):
        losses = {point.place: point.log_loss for point in result.points if point.series == arm}
        assert len(losses) == len(set(losses.values())) == 5
    shown = {point.place: point.tokens_per_row or 0 for point in result.points if point.series == "tallrec"}
    assert shown["demonstrations only at inference"] > shown["as is"] > shown["without events"]


def test_choices_of_demonstrations_are_compared_at_equal_numbers(papers, paper_folder):
    choices = ("recent", "random", "effect")
    result = run_study(demonstrations_study(counts=(2,), choices=choices), papers, out=paper_folder)
    assert result.places == ["2", "24"]
    for arm in ("recicl", "tallrec"):
        recent, random, effect = (at(result, f"{arm}, {choice}", "2") for choice in choices)
        assert recent.log_loss != random.log_loss
        assert (effect.log_loss or np.nan) > 0
        assert result.at(f"{arm}, recent", "24") is not None
        assert result.at(f"{arm}, effect", "24") is None
    assert "recicl, effect − recicl, random, 2" in {contrast.name for contrast in result.contrasts}


def test_a_stream_has_no_demonstrations_to_choose(design, tmp_path):
    with pytest.raises(UsageError, match="block layout"):
        run_study(demonstrations_study(), design, out=tmp_path)


def test_efficiency_counts_both_forms(papers, paper_folder):
    result = run_study(efficiency_study(), papers, out=paper_folder)
    every, last = (at(result, f"recicl, {which} answers", "1") for which in ("all", "last"))
    assert every.tuning_rows == last.tuning_rows == 40
    assert every.tuning_tokens
    assert last.tuning_tokens
    assert every.tuning_tokens < last.tuning_tokens
    assert render(result).count("<svg") == 3  # AUC against operations, tokens and milliseconds


@pytest.fixture(scope="module")
def paper(papers):
    """The one with demonstrations."""
    return replace(papers, arms=papers.arms[:1])


def test_shots_learn_from_more_and_more_rows(paper, paper_folder):
    result = run_study(shots_study(sizes=(20, 40, 10**6)), paper, out=paper_folder)
    assert result.places == ["20", "40"]
    for place, rows in (("20", 20), ("40", 40)):
        assert at(result, "recicl", place).tuning_rows == rows
    fitted = [at(result, "logistic regression", place).log_loss for place in result.places]
    assert fitted[0] != fitted[1]
    assert (at(result, "recicl", "20").tuning_tokens or np.nan) < (at(result, "recicl", "40").tuning_tokens or np.nan)
    assert [one.name for one in result.contrasts] == [f"recicl − logistic regression, {n}" for n in result.places]
    assert render(result).count("<svg") >= 1


def test_history_changes_the_number_of_demonstrations_and_of_events(paper, paper_folder):
    result = run_study(history_study(demonstrations=(0, 2), shown=(0, 2)), paper, out=paper_folder)
    assert result.places == ["0", "2"]
    solved, recent, retrieved = (
        f"recicl, K {what}" for what in ("demonstrations", "recent events", "retrieved events")
    )
    assert result.series[:3] == [solved, recent, retrieved]
    for series in (solved, recent, retrieved):
        few, many = (at(result, series, place).tokens_per_row or np.nan for place in result.places)
        assert few < many
    # two demonstrations and two recent events are what the recipe itself shows
    assert at(result, solved, "2").by_seed == at(result, recent, "2").by_seed
    assert at(result, recent, "0").by_seed == at(result, retrieved, "0").by_seed
    assert at(result, recent, "2").log_loss != at(result, retrieved, "2").log_loss
    assert f"{retrieved} − {recent}, 2" in {one.name for one in result.contrasts}
    assert render(result).count("<svg") >= 1
