"""The README's Python example runs as it stands."""

import re
from pathlib import Path

import polars as pl
import pytest

from recollect.data.bundled import movietweetings

README = Path(__file__).resolve().parents[1] / "README.md"


def test_five_lines_of_python_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    dataset = movietweetings()
    log, rows = dataset.log, slice(0, 1500)
    pl.DataFrame(
        {
            "user": ["42" if user == log.user[0] else f"u{user}" for user in log.user[rows]],
            "item": [dataset.catalog.ids[item] for item in log.item[rows]],
            "time": log.time[rows],
            "value": log.value[rows],
            "title": [dataset.catalog.titles[item] for item in log.item[rows]],
        }
    ).write_csv(tmp_path / "ratings.csv")
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own text
    assert capsys.readouterr().out.strip() in dataset.catalog.titles


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150
