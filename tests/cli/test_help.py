"""Help pages: the exact text, kept as golden files and as docs/cli.md, and that asking for help costs little.

RECOLLECT_GOLDEN=1 writes the files anew.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from golden import golden

from recollect.cli.app import COMMANDS

GOLDEN = Path(__file__).parent / "golden"
MANUAL = Path(__file__).parents[2] / "docs" / "cli.md"
NAMES = dict.fromkeys(name for path in COMMANDS for name in (path.split()[0], path))  # a group before its commands
PAGES = {"recollect": ["--help"], **{name: [*name.split(), "--help"] for name in NAMES}}
HEAVY = {"matplotlib", "numpy", "polars", "scipy", "sklearn", "torch", "transformers"}

INTRODUCTION = """# Command line

The help pages, as `recollect COMMAND --help` shows them; a test keeps this page equal to them.

Results go to stdout and talk goes to stderr. Every reading command takes `--json`. Exit codes: 0 fine, 2 usage, 3 data,
4 model, 5 environment, 130 interrupted, 1 a fault of recollect itself (`RECOLLECT_DEBUG=1` then shows where).
"""


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def file_name(name: str) -> str:
    return f"{name.replace(' ', '-')}.txt"


@pytest.fixture(scope="module")
def pages(recollect) -> dict[str, str]:
    finished = {name: recollect(*arguments) for name, arguments in PAGES.items()}
    assert {name: page.returncode for name, page in finished.items()} == dict.fromkeys(PAGES, 0)
    return {name: tidy(page.stdout) for name, page in finished.items()}


@pytest.mark.parametrize("name", PAGES)
def test_help_page_is_the_golden_one(name, pages):
    assert pages[name] == golden(GOLDEN / file_name(name), pages[name])


@pytest.mark.parametrize("name", PAGES)
def test_help_page_has_an_example(name, pages):
    verb = "" if name == "recollect" else name
    assert f"recollect {verb}".strip() in pages[name].partition("Examples:")[2]


def test_manual_holds_every_page(pages):
    sections = [f"## {name}\n\n```text\n{page}```\n" for name, page in pages.items()]
    manual = "\n".join([INTRODUCTION, *sections])
    assert manual == golden(MANUAL, manual)


def test_no_golden_page_is_left_over():
    assert {path.name for path in GOLDEN.glob("*.txt")} == set(map(file_name, PAGES))


HELP_IN_PROCESS = """
import contextlib, sys, recollect.cli.app as app
sys.argv = ["recollect", "tune", "--help"]
with contextlib.suppress(SystemExit): app.main()
"""


@pytest.mark.parametrize(
    "program",
    ["import recollect", "import recollect.cli.app as app; app.build()", HELP_IN_PROCESS],
    ids=["import", "frame", "help"],
)
def test_help_and_import_load_nothing_heavy(program):
    report = f"{program}\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", report], capture_output=True, check=True, encoding="utf-8")
    assert finished.stdout.splitlines()[-1] == "[]"
