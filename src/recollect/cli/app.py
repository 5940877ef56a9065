"""The frame of the command line: which commands there are, and how one starts.

It decides the order of the commands on the help page, and that loading a command loads no large library: whatever is
heavy is imported inside the command, when it runs.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Final

import typer

from recollect import __version__
from recollect.cli.edge import at_edge

COMMANDS: Final = {
    "demo": "demo",
    "import": "import_",
    "inspect": "inspect",
    "tune": "tune",
    "evaluate": "evaluate",
    "recommend": "recommend",
    "compare": "compare",
    "doctor": "doctor",
}
"""Each verb and the file that holds it: a function `run` with the options, and EXAMPLES for its help page."""

HELP: Final = "Recommend from the last click, with a language model that is never retrained."

EXAMPLES: Final = """Examples:

recollect demo

recollect import ratings.csv --out data --like "rating>=4"

recollect tune data --out run

recollect recommend run data --user 42"""


def build() -> typer.Typer:
    """Put the commands together; imports their files, nothing heavy."""
    app = typer.Typer(
        name="recollect",
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback(help=HELP, epilog=EXAMPLES)(_global_options)
    for verb, file in COMMANDS.items():
        command = import_module(f"recollect.cli.{file}")
        app.command(verb, help=_summary(command.run), epilog=command.EXAMPLES)(at_edge(command.run))
    return app


def main() -> None:
    """Run the command line with the arguments of this process; leaves with the exit code of `recollect.errors`."""
    build()(prog_name="recollect")


def _summary(command: Callable[..., None]) -> str:
    """Take the first paragraph of a docstring: the part that is written for users."""
    return inspect.cleandoc(command.__doc__ or "").partition("\n\n")[0]


def _show_version(wanted: bool) -> bool:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"recollect {__version__}")
        raise typer.Exit
    return wanted


def _global_options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Take the options that stand before the verb."""
