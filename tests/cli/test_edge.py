"""The outer edge: every way in which a command can end, and its exit code."""

import errno

import pytest
import typer
from typer.testing import CliRunner

from recollect.cli.edge import at_edge
from recollect.errors import BadRow, ModelError, SystemFailure, UsageError

RUNNER = CliRunner()


def ending(error: BaseException | None, env: dict[str, str] | None = None):
    """Run a command that ends with an error (None: well) at the edge."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @at_edge
    def command() -> None:
        if error is not None:
            raise error

    return RUNNER.invoke(app, env={"RECOLLECT_DEBUG": "", **(env or {})})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (UsageError("a", got="b", expected="c", do="d"), 2),
        (BadRow("a", line=7, got="b", expected="c", do="d"), 3),
        (ModelError("a", got="b", expected="c", do="d"), 4),
        (SystemFailure("a", got="b", expected="c", do="d"), 5),
        (OSError(errno.ENOSPC, "No space left on device", "weights"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "data"), 5),
        (MemoryError(), 5),
        (KeyboardInterrupt(), 130),
        (typer.Exit(3), 3),
        (ZeroDivisionError("division by zero"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_end_has_its_exit_code(error, code):
    assert ending(error).exit_code == code


def test_message_says_what_got_expected_and_do():
    finished = ending(UsageError("a wrong thing", got="this", expected="that", do="turn it round"))
    assert finished.stdout == ""
    assert finished.stderr.splitlines() == [
        "error: a wrong thing",
        "  got       this",
        "  expected  that",
        "  do        turn it round",
    ]


def test_unexpected_fault_is_short_and_tells_the_way_to_its_traceback():
    finished = ending(ZeroDivisionError("division by zero"))
    assert finished.stderr.startswith("error: unexpected ZeroDivisionError: division by zero\n")
    assert "RECOLLECT_DEBUG=1" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), UsageError("a", got="b", expected="c", do="d")])
def test_debug_shows_the_traceback(error):
    assert "Traceback (most recent call last)" in ending(error, {"RECOLLECT_DEBUG": "1"}).stderr


def test_interrupt_says_that_nothing_is_half_written():
    assert "nothing was left half-written" in ending(KeyboardInterrupt()).stderr
