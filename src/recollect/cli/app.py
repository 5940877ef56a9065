"""The frame of the command line: which commands there are, and how one starts.

It decides the order of the commands on the help page, and that loading a command loads no large library: whatever is
heavy is imported inside the command, when it runs.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from recollect import __version__
from recollect.cli.edge import at_edge

COMMANDS: Final = {
    "demo": "demo",
    "import": "import_",
    "inspect": "inspect",
    "pretrain": "pretrain",
    "recipes list": "recipes:list_recipes",
    "recipes show": "recipes:show_recipe",
    "recipes validate": "recipes:validate",
    "tune": "tune",
    "prompt show": "prompt:show_prompt",
    "evaluate": "evaluate",
    "recommend": "recommend",
    "compare": "compare",
    "demos report": "demos:report",
    "demos verify": "demos:verify",
    "demos watch": "demos:watch",
    "serve": "serve",
    "store backup": "store:backup",
    "store restore": "store:restore",
    "store check": "store:check",
    "keys add": "keys:add",
    "keys list": "keys:list_keys",
    "keys revoke": "keys:revoke",
    "study periods": "study:periods",
    "study delay": "study:delay",
    "study shots": "study:shots",
    "study history": "study:history",
    "study demonstrations": "study:demonstrations",
    "study controls": "study:controls",
    "study efficiency": "study:efficiency",
    "bench": "bench",
    "doctor": "doctor",
}
"""Each command, and where it lives: a file, and its function if that is not `run`.

A file of one command has EXAMPLES for its help page. A command of two words belongs to a group; the file of a group has
HELP for the group's page, and EXAMPLES holds those of each command by its second word.
"""

HELP: Final = "Recommend from the last click, with a language model that is never retrained."

EXAMPLES: Final = """Examples:

recollect demo

recollect import ratings.csv --out data --like "rating>=4"

recollect tune data --out run

recollect recommend run data --user 42"""


class InOrder(TyperGroup):
    """A group whose help page lists commands and groups in the order of `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in order; parameters as the framework gives them."""
        known = super().list_commands(ctx)
        order = dict.fromkeys(path.split()[0] for path in COMMANDS)
        return [*(verb for verb in order if verb in known), *(verb for verb in known if verb not in order)]


def build() -> typer.Typer:
    """Put the commands together; imports their files, nothing heavy."""
    app = _frame("recollect", help_text=HELP, examples=EXAMPLES, callback=_global_options)
    groups: dict[str, typer.Typer] = {}
    for path, place in COMMANDS.items():
        file, _, function = place.partition(":")
        module = import_module(f"recollect.cli.{file}")
        verb, _, second = path.partition(" ")
        if second and verb not in groups:
            groups[verb] = _group_frame(verb, module)
            app.add_typer(groups[verb], name=verb)
        home, examples = (groups[verb], module.EXAMPLES[second]) if second else (app, module.EXAMPLES)
        command = getattr(module, function or "run")
        home.command(second or verb, help=_summary(command), epilog=examples)(at_edge(command))
    return app


def main() -> None:
    """Run the command line with the arguments of this process; leaves with the exit code of `recollect.errors`."""
    build()(prog_name="recollect")


def _frame(name: str, *, help_text: str, examples: str, callback: Callable[..., None]) -> typer.Typer:
    """Make a page that shows its help when it is called without a command."""
    frame = typer.Typer(
        name=name,
        cls=InOrder,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    frame.callback(help=help_text, epilog=examples)(callback)
    return frame


def _group_frame(verb: str, module: Any) -> typer.Typer:
    """Make the page of a group, with the first example of each of its commands."""
    first = [examples.split("\n\n")[1] for examples in module.EXAMPLES.values()]
    return _frame(verb, help_text=module.HELP, examples="\n\n".join(["Examples:", *first]), callback=_no_options)


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


def _no_options() -> None:
    """Take the options of a group: none but help."""
