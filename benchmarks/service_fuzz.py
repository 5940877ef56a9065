"""Fuzz: every route under many requests made from its own schema, valid and invalid ones (schemathesis).

It decides that a request which fits the schema may still contradict the data (400, 404, 409, 422) or come too soon
(429), that one which does not fit may be refused for its size first (413), and that afterwards the service still
answers and its store is whole.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from benchmarks.service_job import Job
from benchmarks.service_process import ServiceProcess
from benchmarks.service_report import Figure, Outcome, at_most
from benchmarks.service_stores import store_place
from recollect.service.check import check
from recollect.service.store import Store

_EXAMPLES: Final = 500  # of each route
_PHASES: Final = "examples,coverage,fuzzing,stateful"
_CONFIGURATION: Final = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "404", "409", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]
"""
_SHOWN: Final = 20_000  # characters of what the fuzzer says that are kept


def measure_fuzz(job: Job) -> list[Outcome]:
    """Fuzz a service on each kind of store asked for, by default SQLite."""
    outcomes: list[Outcome] = []
    for kind in job.stores or ("sqlite",):
        with store_place(kind, job.folder) as url:
            with ServiceProcess(job, store=url) as service:
                status, said = _fuzz(job, service)
                with service.client() as client:
                    alive = client.ready()
            with Store.open(url, create=False) as store:
                findings = sum(not one.fine for one in check(store))
        figures = (
            Figure("requests made from the schema", _cases(said)),
            Figure("status of the fuzzer: 0 is no server error, nothing off the schema", status, "0", status == 0),
            Figure("the service answers afterwards", int(alive), "1", alive),
            at_most("findings of the store check", findings, 0),
        )
        outcomes.append(Outcome(f"fuzz, {kind}", figures, {"said": said[-_SHOWN:]}))
    return outcomes


def _fuzz(job: Job, service: ServiceProcess) -> tuple[int, str]:
    """Run the fuzzer; returns its exit status and what it said."""
    configuration = job.folder / "schemathesis.toml"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    examples, phases = ("3", "coverage") if job.quick else (str(_EXAMPLES), _PHASES)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", f"{service.url}/openapi.json", "--phases", phases, "--max-examples", examples),
        *("--seed", str(job.seed), "--generation-database", "none", "--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=job.folder)
    return done.returncode, done.stdout + done.stderr


def _cases(said: str) -> int:
    """Read from the summary how many requests were made."""
    found = re.search(r"([\d,]+)\s+(?:generated|test cases)", said)
    return int(found[1].replace(",", "")) if found else 0
