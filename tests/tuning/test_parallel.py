"""Several processes take the very steps of one, and write one run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from interruptions import Stops
from worlds import planted_world

from recollect.errors import SystemFailure, UsageError
from recollect.recipe import load_recipe
from recollect.run.tuned import TunedModel
from recollect.tuning.parallel import ALONE, Team, join_team
from recollect.tuning.run import tune

SMALL = (
    "backbone.width=16", "backbone.layers=2", "backbone.heads=2", "backbone.key_value_heads=1",
    "backbone.feed_forward=24", "backbone.vocabulary=300", "channel.hidden=16", "history.shown=12", "history.evict=4",
    "vectors.text_width=4", "vectors.collaborative_width=3", "tuning.batch_tokens=128", "tuning.epochs=2",
    "tuning.warmup=2", "tuning.accumulate=2", "tuning.checkpoint_seconds=1e-6",
)  # fmt: skip


RECIPE = load_recipe("stream", overrides=SMALL)


def launch(data: Path, out: Path, *, processes: int) -> subprocess.CompletedProcess[str]:
    """Tune on the command line, in several processes that a launcher starts."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    values = [word for value in SMALL for word in ("--set", value)]
    return subprocess.run(
        [sys.executable, *launcher, "-m", "recollect", "tune", str(data), "--out", str(out), *values],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_two_processes_go_on_where_one_stopped_and_end_where_one_ends(tmp_path):
    """The checkpoint of one process is taken up by two, and the run is that of one which never stopped."""
    world, data, out = planted_world(events=300), tmp_path / "data", tmp_path / "two"
    world.save(data)
    alone = tune(world, out=tmp_path / "one", recipe=RECIPE)
    with pytest.raises(KeyboardInterrupt):
        tune(world, out=out, recipe=RECIPE, progress=Stops(3))
    stopped = torch.load(tmp_path / ".two.tuning", weights_only=True)["state"]["where"]
    assert (stopped["epoch"], stopped["step"]) < (1, 3), "most steps are left to the two"
    done = launch(data, out, processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rows learned from") == 1
    both = TunedModel.load(out)
    others = dict(both.language_model.named_parameters())
    for name, weight in alone.language_model.named_parameters():
        torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-6)
    assert [epoch["loss"] for epoch in both.card["epochs"]] == pytest.approx(
        [epoch["loss"] for epoch in alone.card["epochs"]], abs=1e-6
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one", "two"]


def test_a_step_that_cannot_be_shared_is_refused_with_a_way_out():
    Team(0, 2).require_share(4)
    with pytest.raises(UsageError, match=r"tuning\.accumulate=6"):
        Team(0, 3).require_share(4)


def test_shares_cover_every_batch_once():
    teams = [Team(rank, 3) for rank in range(3)]
    assert sorted(number for team in teams for number in team.share(range(10, 17))) == list(range(10, 17))
    assert ALONE.share(range(3)) == range(3)


def test_one_process_waits_for_nobody():
    weight = torch.nn.Parameter(torch.ones(2))
    numbers = torch.ones(2, dtype=torch.float64)
    assert join_team() == ALONE
    assert ALONE.is_main
    assert ALONE.add_up([weight], numbers) is numbers
    assert ALONE.from_main(lambda: 3) == 3


def test_processes_that_cannot_meet_say_so(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_PORT": "no port"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    with pytest.raises(SystemFailure, match="torchrun"):
        join_team()
