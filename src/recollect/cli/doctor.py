"""`recollect doctor`: is this machine ready, and what is it good for?

It decides that the answer is measured where it can be: a short matrix product in float32 and in bfloat16, a file
written in each folder that commands write to.
"""

from collections.abc import Mapping
from typing import Any, Final

from recollect.cli.machine import examine
from recollect.cli.options import AsJson
from recollect.cli.output import show, show_json, show_table
from recollect.errors import SystemFailure

EXAMPLES: Final = """Examples:

recollect doctor

recollect doctor --json"""


def run(*, as_json: AsJson = False) -> None:
    """Look at this machine: versions, cores, memory, speed, folders, models.

    Raises
    ------
    SystemFailure
        If something that recollect needs is missing; the report is out by then.
    """
    report = examine()
    if as_json:
        show_json(report)
    else:
        _show(report)
    if report["problems"]:
        raise SystemFailure(
            what="this machine is not ready",
            got="; ".join(report["problems"]),
            expected="every needed package and folder",
            do="run make install, and mend what is named above",
        )


def _show(report: Mapping[str, Any]) -> None:
    machine, speed = report["machine"], report["speed"]
    show_table(
        [
            ("recollect", report["recollect"]),
            ("python", report["python"]),
            *((name, version or "missing") for name, version in report["packages"].items()),
        ]
    )
    show("")
    show_table(
        [
            ("system", machine["system"]),
            ("cores", f"{machine['cores']}, torch uses {machine['threads']} threads"),
            ("memory", f"{_gigabytes(machine['memory_gb'])}, {_gigabytes(machine['free_memory_gb'])} free"),
            ("accelerator", machine["accelerator"] or "none, and none is needed"),
            ("bfloat16", _yes(machine["bfloat16"])),
            ("AMX", _yes(machine["amx"])),
            *((f"matrix product, {kind}", f"{rate:,.0f} GFLOP/s") for kind, rate in speed.items()),
        ]
    )
    show("")
    show_table([("writable", path, _yes(fine)) for path, fine in report["writable"].items()])
    show_table([("model", name, path) for name, path in report["models"].items()])


def _gigabytes(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.1f} GB"


def _yes(fact: object) -> str:
    return "unknown" if fact is None else "yes" if fact else "no"
