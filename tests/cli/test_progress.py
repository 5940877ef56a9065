"""The progress display, with a clock in the test's hand."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from recollect.cli.progress import BarProgress, LineProgress, shown_progress
from recollect.progress import SILENT, Progress


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def work(progress: Progress, clock: Clock, *, seconds: float, steps: int) -> None:
    """Do `steps` units of work in as many seconds as told."""
    progress.start("tune", steps)
    for step in range(1, steps + 1):
        clock.now += seconds / steps
        progress.advance(step, loss=1 / step)
    progress.finish("best .81")


def test_lines_come_about_every_ten_seconds():
    lines, clock = [], Clock()
    work(LineProgress(lines.append, clock=clock), clock, seconds=24.0, steps=48)
    assert lines == [
        "tune: 42% · loss 0.05 · 2/s · 14 s left",
        "tune: 83% · loss 0.025 · 2/s · 4 s left",
        "tune: best .81 (24.0 s)",
    ]


def test_short_work_is_one_line():
    lines, clock = [], Clock()
    work(LineProgress(lines.append, clock=clock), clock, seconds=2.0, steps=5)
    assert lines == ["tune: best .81 (2.0 s)"]


def test_bar_shows_facts_and_rate_and_ends_as_one_line():
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=False, width=80)
    with Bar(TextColumn("{task.fields[facts]}"), console=console, auto_refresh=False) as bar:
        progress = BarProgress(bar, clock=clock)
        progress.start("tune", 10)
        clock.now = 2.0
        progress.advance(4, loss=0.5)
        assert bar.tasks[0].completed == 4
        assert bar.tasks[0].fields["facts"] == "loss 0.5 · 2/s"
        progress.finish()
        assert not bar.tasks[0].visible
    assert "tune: done (2.0 s)" in stream.getvalue()


def test_where_stderr_is_no_terminal_lines_are_chosen(capsys):
    with shown_progress() as progress:
        progress.start("evaluate", 1)
        progress.finish("done well")
    assert capsys.readouterr().err.startswith("evaluate: done well (")


@pytest.mark.parametrize("total", [0, 3])
def test_silence_takes_everything(total):
    SILENT.start("tune", total)
    SILENT.advance(1, loss=0.5)
    assert SILENT.finish("done") is None
