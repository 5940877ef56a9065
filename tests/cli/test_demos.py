"""`recollect demos` on small runs: what demonstrations do for a person, how they move, whether a model can be asked."""

import json
import math
from pathlib import Path

import pytest
from backbones import write_backbone
from typer.testing import CliRunner
from worlds import planted_world, small_block, small_recipe, untuned

from recollect.cli.app import build

SMALL = ("effects.pool=5", "effects.support=4", "effects.anew=4")
RUNS = {
    "recicl": small_block("recicl", *SMALL),
    "lrgd": small_block("lrgd", *SMALL),
    "tallrec": small_block("tallrec", *SMALL),
    "stream": small_recipe(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `data`, runs that are not tuned, and models that are no runs, one of `odd` attention."""
    folder = tmp_path_factory.mktemp("demos")
    world = planted_world()
    world.save(folder / "data")
    for name, recipe in RUNS.items():
        untuned(world, recipe).save(folder / name)
    write_backbone("qwen2", folder / "model")
    write_backbone("gptj", folder / "odd")
    return folder


def invoke(folder: Path, *arguments: object):
    """Run a command in this process; names of things in the folder stand for them."""
    places = [str(folder / one) if (folder / one).exists() else one for one in map(str, arguments)]
    return CliRunner().invoke(build(), ["demos", *places])


def loaded(folder: Path, *arguments: object):
    done = invoke(folder, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_report_tells_of_each_demonstration_and_of_all(folder):
    told = loaded(folder, "report", "recicl", "data", "--user", "u1", "--exact")
    whole, lines = told["set"], told["demonstrations"]
    assert whole["effect"] == pytest.approx(whole["zero_shot"] - whole["in_context"])
    assert whole["demonstrations"] == len(lines)
    assert whole["tokens"] == sum(line["tokens"] for line in lines)
    assert sum(line["shown"] for line in lines) == 4
    assert {line["verdict"] for line in lines} <= {None, "helps", "neutral", "harmful?", "redundant"}
    measured = [line for line in lines if line["seen"]]
    assert 0 < len(measured) < len(lines)
    assert all(math.isfinite(line[name]) for line in measured for name in ("effect", "leave_one_out", "single"))
    assert 0 < whole["moved"] < 1
    assert told["layouts"]["count"] == 4


def test_a_report_as_text_and_as_a_page(folder, tmp_path):
    page = tmp_path / "page.html"
    done = invoke(folder, "report", "lrgd", "data", "--user", "u1", "--top", "3", "--html", page)
    assert done.exit_code == 0, done.stderr
    for told in ("loss without demonstrations", "effect of the set", "per 100", "verdict", "as served", "few support"):
        assert told in done.stdout
    assert done.stdout.count("th night") == 3
    assert "chosen as effect" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert text.count("<td>") > 3 * 10
    assert "<script" not in text


def test_a_run_without_demonstrations_is_measured_with_some(folder):
    done = invoke(folder, "report", "tallrec", "data", "--user", "u1")
    assert done.exit_code == 0, done.stderr
    assert "shows no demonstrations: this is what they would do" in done.stderr


def test_watching_tells_what_came_and_went(folder):
    told = loaded(folder, "watch", "tallrec", "data", "--user", "u1", "--events", "3")
    assert len(told["events"]) == 3
    for event in told["events"]:
        assert all(one["event"] < event["known"] for one in event["shown"])
        assert event["kind"] in {"optimised", "recent", "none"}
        assert all(event[name] > 0 for name in ("chosen", "recent", "none"))
    assert set(told["losses"]) == {"chosen", "recent", "none"}


def test_watching_as_text_and_as_a_page(folder, tmp_path):
    page = tmp_path / "page.html"
    done = invoke(folder, "watch", "lrgd", "data", "--user", "u1", "--events", "2", "--html", page)
    assert done.exit_code == 0, done.stderr
    assert "mean loss with the chosen set" in done.stdout
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["recicl", "stream", "model"])
def test_attention_is_a_step_of_the_dual_model(model, folder):
    told = loaded(folder, "verify", model)
    assert len(told["layer_residuals"]) == 2
    assert max(*told["layer_residuals"], told["logits_residual"]) < 1e-5
    assert 0 < told["moved"] < 1
    assert "logits" in invoke(folder, "verify", model).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("report", "stream", "data", "--user", "u1"), 2, "without separate demonstrations"),
        (("watch", "stream", "data", "--user", "u1"), 2, "without separate demonstrations"),
        (("report", "recicl", "data", "--user", "nobody"), 3, "nobody"),
        (("report", "data", "data", "--user", "u1"), 4, "no run in that folder"),
        (("verify", "odd"), 4, "attention"),
        (("verify", "nowhere/at/all"), 4, "nowhere/at/all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_told_with_its_exit_code(folder, arguments, code, told):
    done = invoke(folder, *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert told in done.stderr
