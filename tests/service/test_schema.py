"""Every route under requests made from its own schema: no server error, and no answer off the schema.

Requests are valid and invalid ones, and what is behind is the real thing. A longer run stands in `benchmarks/service`.
"""

import subprocess
import sys

import pytest
from small_service import small_service

from recollect.service.keys import add

CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "404", "409", "422", "429"]
"""
"""What a request that fits the schema may be answered: 400 and 422 where it contradicts the data."""


@pytest.mark.parametrize(("require_key", "phases"), [(False, "coverage,fuzzing"), (True, "fuzzing")])
def test_every_answer_fits_the_schema(tmp_path, require_key, phases):
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    with small_service(tmp_path, rate=0.0, runs=tmp_path, require_key=require_key) as served:
        secret = add(served.service.store, "fuzz", scopes=["admin"], now=1).secret
        fuzz = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("run", f"{served.url}/openapi.json", "--phases", phases, "--max-examples", "5", "--seed", "1"),
            *("--request-timeout", "60", "--generation-database", "none", "--no-color"),
            *(("--header", f"Authorization: Bearer {secret}") if require_key else ()),
        ]
        done = subprocess.run(fuzz, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
