"""The benchmarks run at a small size: every way is timed, all ways agree, nothing about speed is asserted."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_quick_run_times_every_way_and_all_ways_agree(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json", file],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(file.read_text(encoding="utf-8"))

    assert max(report["disagreement"].values()) <= 1e-5
    assert report["targets"] == []  # promises are made for the full size
    assert {way["group"].split()[0] for way in report["ways"]} == {"score", "an", "keep", "one"}
    for way in report["ways"]:
        low, high = way["quartiles_ms"]
        assert low <= way["median_ms"] <= high
        assert way["way"] in done.stdout
    rates = [way["tokens_per_second"] is not None for way in report["ways"]]
    assert sum(rates) == 2  # one size of batch, float32 and bfloat16
