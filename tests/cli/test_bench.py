"""`recollect bench`: all parts run once at the small size; what is shown is what is written. No speed is asserted."""

import json


def test_quick_run_measures_every_part(recollect, tmp_path):
    file = tmp_path / "bench.json"
    finished = recollect("bench", "all", "--quick", "--json", file, "--out", tmp_path / "parts")
    assert finished.returncode == 0, finished.stderr
    parts = {part["part"]: part for part in json.loads(file.read_text(encoding="utf-8"))["parts"]}
    assert set(parts) == {"score", "tune", "append", "data"}
    assert {path.stem for path in (tmp_path / "parts").iterdir()} == set(parts)
    differences = [value for name, value in parts["score"]["facts"].items() if name.startswith("largest difference")]
    assert differences
    assert max(differences) <= 1e-5
    for part in parts.values():
        assert all(time["low_ms"] <= time["median_ms"] <= time["high_ms"] for time in part["times"])
        assert part["rows"][0]["ratio"] > 0
    assert "not measured" in finished.stdout
    assert "MovieLens" not in finished.stderr


def test_a_backbone_that_is_not_there_is_a_usage_error(recollect):
    finished = recollect("bench", "append", "--quick", "--backbone", "12M")
    assert finished.returncode == 2
    assert "no such backbone" in finished.stderr
