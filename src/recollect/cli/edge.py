"""The outer edge: where an exception becomes a message on stderr and an exit code.

It decides nothing about what an error means, `recollect.errors` does; a fault of the program leaves with 1 and the way
to its traceback. Interrupts leave with 130, as shells expect; a reader that closes the pipe is no error.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final, ParamSpec

import typer

from recollect.cli.output import say
from recollect.errors import RecollectError, meaning, translate

DEBUG: Final = "RECOLLECT_DEBUG"
"""Environment variable that asks for tracebacks."""

UNEXPECTED: Final = 1
INTERRUPTED: Final = 130

P = ParamSpec("P")


def at_edge(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that nothing but an exit code leaves it; its options stay as they are."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except BrokenPipeError:
            _drop_stdout()
        except KeyboardInterrupt:
            say("interrupted: nothing was left half-written")
            say("  do        run the same command again")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - the outer edge: whatever is left becomes a message here
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    if os.environ.get(DEBUG):
        say("".join(traceback.format_exception(error)).rstrip())
    known = translate(error)
    if known is None:
        say(f"error: unexpected {type(error).__name__}: {error}")
        say(f"  do        run again with {DEBUG}=1 to see where, and report it with that text")
        return UNEXPECTED
    _say_error(known)
    return meaning(known).exit_code


def _say_error(error: RecollectError) -> None:
    say(f"error: {error.what}")
    say(f"  got       {error.got}")
    say(f"  expected  {error.expected}")
    say(f"  do        {error.do}")


def _drop_stdout() -> None:
    """Send the rest of stdout nowhere, so that leaving does not complain about the closed pipe once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
