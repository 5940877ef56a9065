"""`recollect doctor`: is this machine ready, and what is it good for?

It decides that the answer is measured where it can be: a short matrix product in float32 and in bfloat16, the ways of
serving on a small random model, a file written in each folder that commands write to.
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


QUERY: Final = {"trunk": 512, "candidates": 100, "length": 24}
"""What the ways of serving are measured with."""


def run(*, as_json: AsJson = False) -> None:
    """Look at this machine: versions, cores, memory, speed, folders, models.

    Raises
    ------
    SystemFailure
        If something that recollect needs is missing; the report is out by then.
    """
    report = examine()
    if report["speed"]:
        report["ways"] = _measure_ways(report["speed"])
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
    if "ways" in report:
        _show_ways(report["ways"])
    show_table([("writable", path, _yes(fine)) for path, fine in report["writable"].items()])
    show_table([("model", name, path) for name, path in report["models"].items()])


def _measure_ways(speed: Mapping[str, float]) -> dict[str, Any]:
    """Measure how long a query takes in each way of serving that needs no compiler, with a small random model.

    Parameters
    ----------
    speed
        Of matrix products by type; bfloat16 is left out where float32 is faster.

    Returns
    -------
    dict
        Size of the query, milliseconds by way, the automatic way, and the ways that are there but not measured.
    """
    from recollect.model.language_model import LanguageModel
    from recollect.model.nano import build_nano
    from recollect.model.settings import NanoShape
    from recollect.model.ways import AUTOMATIC, PREPARED, available_ways, measure_ways

    model = LanguageModel(build_nano(NanoShape(), vocabulary=512, seed=0), answers=((1,), (2,))).eval()
    there = available_ways(model)
    hopeless = "bfloat16" if speed["bfloat16"] < speed["float32"] else "none"
    measured = [name for name in there if not name.startswith(PREPARED) and not name.endswith(hopeless)]
    seconds = measure_ways(model, names=measured, rounds=1, **QUERY)
    return {
        **QUERY,
        "milliseconds": {name: 1000 * taken for name, taken in seconds.items()},
        "automatic": min((name for name in seconds if name in AUTOMATIC), key=seconds.__getitem__),
        "not_measured": [name for name in there if name not in seconds],
    }


def _show_ways(ways: Mapping[str, Any]) -> None:
    from recollect.model.ways import PREPARED

    show(
        f"ways of serving: {ways['candidates']} candidates of {ways['length']} tokens behind {ways['trunk']}, "
        "small random model"
    )
    taken = ways["milliseconds"]
    show_table(
        [
            *((name, f"{taken[name]:,.0f} ms", "automatic" if name == ways["automatic"] else "") for name in taken),
            *(
                (name, "not measured", "prepared when asked for" if name.startswith(PREPARED) else "slow here")
                for name in ways["not_measured"]
            ),
        ]
    )
    show("")


def _gigabytes(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.1f} GB"


def _yes(fact: object) -> str:
    return "unknown" if fact is None else "yes" if fact else "no"
