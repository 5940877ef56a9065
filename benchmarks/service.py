"""`python -m benchmarks.service PART RUN DATA`: the live service, measured from outside, as a process over HTTP.

PART is one or more of staleness, kill, load, overload, soak, fuzz, with commas between, or all. A table says what was
asked and what was got; the JSON has the facts of the machine, the seed and the command too.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.service_fuzz import measure_fuzz
from benchmarks.service_job import Job
from benchmarks.service_kill import measure_kill
from benchmarks.service_load import measure_load
from benchmarks.service_overload import measure_overload
from benchmarks.service_report import Outcome, show_outcomes, write_outcomes
from benchmarks.service_soak import measure_soak
from benchmarks.service_staleness import measure_staleness
from benchmarks.service_stores import KINDS
from recollect.bench.machine import machine_facts
from recollect.cli.output import say
from recollect.data.dataset import Dataset

PARTS: Final[dict[str, Callable[[Job], list[Outcome]]]] = {
    "staleness": measure_staleness,
    "kill": measure_kill,
    "load": measure_load,
    "overload": measure_overload,
    "soak": measure_soak,
    "fuzz": measure_fuzz,
}
CPU: Final = torch.device("cpu")


def main() -> None:
    """Read the options, measure, report; leave with 1 if something that was asked is not so."""
    options = _options()
    chosen = list(PARTS) if options.part == "all" else options.part.split(",")
    machine, outcomes = machine_facts(CPU), list[Outcome]()
    with tempfile.TemporaryDirectory(prefix="recollect-bench-") as folder:
        job = _job(options, Path(folder))
        for part in chosen:
            say(f"{part} …")
            outcomes += PARTS[part](job)
    show_outcomes(outcomes)
    machine["load_after"] = machine_facts(CPU)["load"]
    stamp = time.strftime("%Y-%m-%dT%H%M%S", time.gmtime())
    facts = {"command": shlex.join(sys.argv[1:]), "seed": options.seed, "quick": options.quick, "machine": machine}
    write_outcomes(outcomes, options.json or Path("runs/bench") / f"service-{stamp}.json", facts=facts)
    sys.exit(any(figure.met is False for outcome in outcomes for figure in outcome.figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description="Measure the live service.")
    add: Callable[..., Any] = parser.add_argument
    add("part", type=_part, metavar="PART", help=f"all, or of {', '.join(PARTS)}, with commas between")
    add("run", type=Path, metavar="RUN", help="a run folder")
    add("data", type=Path, metavar="DATA", help="the dataset folder it is for")
    add("--quick", action="store_true", help="small sizes, to see that all of it runs")
    add("--json", type=Path, metavar="FILE", help="where the JSON goes (default: runs/bench/service-TIME.json)")
    add("--store", choices=KINDS, action="append", default=[], help="kind of store (default: as the part needs)")
    add("--seed", type=int, default=0, help="of all chance [0]")
    add("--kills", type=int, help="kills of each store [50, quick: 2]")
    add("--requests", type=int, help="requests of the soak [1,000,000, quick: 1,000]")
    return parser.parse_args()


def _part(text: str) -> str:
    """Check the names of parts.

    Raises
    ------
    argparse.ArgumentTypeError
        If there is another one.
    """
    if text != "all" and not set(text.split(",")) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"all, or of {', '.join(PARTS)}")
    return text


def _job(options: argparse.Namespace, folder: Path) -> Job:
    return Job(
        run=options.run.resolve(),
        data=options.data.resolve(),
        dataset=Dataset.load(options.data),
        folder=folder,
        seed=options.seed,
        quick=options.quick,
        stores=tuple(options.store),
        requests=options.requests or (1_000 if options.quick else 1_000_000),
        kills=options.kills or (2 if options.quick else 50),
    )


if __name__ == "__main__":
    main()
