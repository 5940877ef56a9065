"""Recipes of text on a language model in a folder, by the command: from the forecast to the comparison."""

import json
import re
from pathlib import Path

import pytest
from backbones import write_backbone
from typer.testing import CliRunner
from worlds import planted_world

from recollect.cli.app import build

SMALL = ("--rows", "120", "--set", "tuning.epochs=1", "--set", "history.shown=3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `data`, `model`, and two runs of it: `run` by RecICL, `zero` that was not tuned."""
    folder = tmp_path_factory.mktemp("language-models")
    planted_world().save(folder / "data")
    write_backbone("llama", folder / "model", max_position_embeddings=2048)
    for name, recipe, more in (("run", "recicl", SMALL), ("zero", "zero-shot", ())):
        done = invoke(folder, "tune", "data", "--out", folder / name, "--recipe", recipe, "--backbone", "model", *more)
        assert done.exit_code == 0, done.stderr
    return folder


def invoke(folder: Path, *arguments: object):
    """Run a command in this process; names of things in the folder stand for them."""
    places = [str(folder / one) if (folder / one).exists() else one for one in map(str, arguments)]
    return CliRunner().invoke(build(), places)


def loaded(folder: Path, *arguments: object):
    done = invoke(folder, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dry_run_tells_what_it_takes_and_leaves_nothing(folder):
    before = sorted(folder.rglob("*"))
    asked = ("tune", "data", "--recipe", "recicl", "--backbone", "model", *SMALL, "--dry-run")
    told = loaded(folder, *asked)
    assert told["epoch"]["rows"] == 120
    assert told["hours"] > 0
    assert [answer["word"] for answer in told["answers"]] == ["no", "yes"]
    shown = invoke(folder, *asked).stdout
    assert f"{told['epoch']['tokens']:,} tokens" in shown
    assert "hours" in shown
    assert invoke(folder, *asked, "--out", folder / "other").exit_code == 0
    assert sorted(folder.rglob("*")) == before


def test_a_run_says_what_it_learned_from(folder):
    card = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))
    assert card["rows"] == 120
    assert f'name = "{folder / "model"}"' in (folder / "run" / "recipe.toml").read_text(encoding="utf-8")


def test_a_prompt_is_shown_as_the_model_reads_it(folder):
    shown = invoke(folder, "prompt", "show", "run", "data", "--user", "u1", "--item", "i2")
    assert shown.stdout.count("Answer: ") == 4, shown.stderr  # the demonstrations; the query ends with the marker
    assert '"Horror of the 2th night (1972)"? Answer:\n' in shown.stdout
    for told in ("tokens", "answered at", "left out for the budget", "not liked"):
        assert told in shown.stderr


def test_a_prompt_is_shown_token_by_token(folder):
    asked = ("prompt", "show", "run", "data", "--user", "u1", "--item", "i2")
    told, lines = loaded(folder, *asked), invoke(folder, *asked, "--tokens").stdout.splitlines()
    pairs = list(zip(told["tokens"], told["pieces"], strict=True))
    begins = "  ".join(f"{token} {json.dumps(piece, ensure_ascii=False)}" for token, piece in pairs[:6])
    assert lines[0] == f"    0: {begins}"
    assert len(lines) == -(-len(pairs) // 6)
    assert lines[-1].endswith(f'{pairs[-1][0]} "{pairs[-1][1]}" <- the answer is read here')


def test_a_prompt_as_json_holds_all(folder):
    told = loaded(folder, "prompt", "show", "run", "data", "--user", "u1", "--item", "i2")
    assert told["answered_at"] == len(told["tokens"]) - 1 == told["position"]
    assert 0 < len(told["shown"]) <= told["known"]
    assert told["text"].endswith("Answer:")
    held = set(re.findall(r' "(.*?)"', told["text"])[:-1])  # long titles are cut
    assert len(held) == len(told["shown"])
    assert all(any(event["title"].startswith(one) for one in held) for event in told["shown"])
    assert len(told["pieces"]) == len(told["tokens"])
    assert told["dropped"] == {"demonstrations": 0, "events": 0}
    moment = told["shown"][-1]["time"]
    earlier = loaded(folder, "prompt", "show", "run", "data", "--user", "u1", "--item", "i2", "--at", moment)
    assert all(event["time"] < moment for event in earlier["shown"])
    assert earlier["known"] < told["known"]


@pytest.mark.parametrize("run", ["run", "zero"])
def test_it_recommends_and_is_evaluated_like_any_run(run, folder):
    ranking = loaded(folder, "recommend", run, "data", "--user", "u1", "--top", "3", "--explain")
    assert [item["rank"] for item in ranking["items"]] == [1, 2, 3]
    assert loaded(folder, "evaluate", run, "data")["rows"] > 0


def test_two_runs_are_compared(folder):
    for run in ("run", "zero"):
        assert invoke(folder, "evaluate", run, "data").exit_code == 0
    assert set(loaded(folder, "compare", "run", "zero", "data")) == {"first", "second", "difference"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("tune", "data", "--dry-run", "--recipe", "recicl", "--backbone", "nowhere/at/all"), 4, "nowhere/at/all"),
        (("tune", "data", "--dry-run", "--backbone", "model"), 2, "stream layout"),
        (("tune", "data", "--dry-run", "--recipe", "recicl", "--rows", "99999"), 2, "99,999"),
        (("tune", "data", "--dry-run", "--preset", "huge"), 2, "'nano'"),
        (("tune", "data", "--recipe", "recicl"), 2, "--dry-run"),
        (("prompt", "show", "run", "data", "--user", "u1", "--item", "none"), 3, "none"),
        (("prompt", "show", "run", "data", "--user", "none", "--item", "i1"), 3, "none"),
        (("prompt", "show", "data", "data", "--user", "u1", "--item", "i1"), 4, "no run in that folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_told_with_its_exit_code(folder, arguments, code, told):
    done = invoke(folder, *arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert told in done.stderr
