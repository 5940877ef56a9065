"""`recollect serve` as a process: it says where it is, answers, changes its model, and ends well when it is told to."""

import os
import signal
import subprocess
import sys
import time

import httpx2
from worlds import planted_world, small_recipe, untuned

from recollect.client import Client
from recollect.service.store import Store


def test_a_process_serves_until_it_is_told_to_stop(tmp_path):
    world, run, data, store = planted_world(), tmp_path / "run", tmp_path / "data", tmp_path / "store.db"
    for seed in (0, 1):
        untuned(world, small_recipe(), seed=seed).save(tmp_path / f"run-{seed}")
    run.symlink_to("run-0")
    world.save(data)
    command = [sys.executable, "-m", "recollect", "serve", str(run), str(data), "--port", "0"]
    settings = {"RECOLLECT_STORE": f"sqlite:///{store}", "RECOLLECT_LOG_LEVEL": "warning"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env={**os.environ, **settings}, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        assert process.stdout.readline().startswith("ready")
        event = {"id": "e1", "user": "u1", "item": "i7", "value": 5}
        assert httpx2.post(f"{url}/v1/events", json={"events": [event]}, timeout=60).json()["accepted"] == 1
        run.unlink()
        run.symlink_to("run-1")
        process.send_signal(signal.SIGHUP)
        with Client(url) as client:
            while [arm.name for arm in client.status().arms] != ["run-1"]:
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    with Store.open(f"sqlite:///{store}", create=False) as kept:
        assert [one.id for one in kept.events_after(0)] == ["e1"]


def test_a_run_that_is_not_there_is_told_like_any_other_error(tmp_path):
    planted_world().save(tmp_path / "data")
    command = [sys.executable, "-m", "recollect", "serve", "no-run", "data", "--port", "0"]
    settings = {"RECOLLECT_STORE": "sqlite:///store.db", "RECOLLECT_LOG_LEVEL": "error"}
    done = subprocess.run(
        command, env={**os.environ, **settings}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "error: " in done.stderr
    assert "no-run" in done.stderr
