"""The suite: a part is kept as it ends, and read instead of measured again if it was asked the same."""

import json

import pytest
import torch

from recollect.bench.machine import machine_facts, product_flops, product_way
from recollect.bench.result import Asked, Part
from recollect.bench.suite import PARTS, run_parts, write_report
from recollect.errors import UsageError
from recollect.progress import SILENT

QUICK = Asked(backbone="tiny", quick=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    return run_parts(["append"], QUICK, out=out, progress=SILENT)[0], out


def test_a_part_is_written_as_it_ends(kept):
    part, out = kept
    assert Part.model_validate_json((out / "append.json").read_text(encoding="utf-8")) == part
    assert [path.name for path in out.iterdir()] == ["append.json"]  # nothing is left aside
    assert part.rows[0].verdict == ""  # promises are made for the full size
    assert part.facts["bytes per user, tiny, 128 tokens, float32, grouped heads"] == 128 * 2 * 2 * 32 * 4


def test_a_kept_part_is_read(kept):
    part, out = kept
    older = part.model_copy(update={"date": "long ago"})
    (out / "append.json").write_text(older.model_dump_json(), encoding="utf-8")
    assert run_parts(["append"], QUICK, out=out, progress=SILENT) == [older]


@pytest.mark.parametrize("text", ["{", '{"part": "append"}'])
def test_what_is_no_part_is_measured_anew(kept, text):
    _, out = kept
    (out / "append.json").write_text(text, encoding="utf-8")
    assert run_parts(["append"], QUICK, out=out, progress=SILENT)[0].date != "long ago"


def test_the_report_holds_all_parts(kept, tmp_path):
    part, _ = kept
    write_report([part, part], tmp_path / "new" / "bench.json")
    document = json.loads((tmp_path / "new" / "bench.json").read_text(encoding="utf-8"))
    assert [one["part"] for one in document["parts"]] == ["append", "append"]


def test_machine_facts_and_peak():
    facts = machine_facts(torch.device("cpu"))
    assert facts["threads"] == torch.get_num_threads()
    assert set(facts["gflops"]) == {"float32", "bfloat16"}
    assert product_flops(torch.device("cpu")) == 2 * 1024**3
    assert product_way("peak", "float32", torch.device("cpu")).run().shape == (1024, 1024)  # pyright: ignore[reportAttributeAccessIssue]


def test_parts_are_those_of_the_command_line():
    assert list(PARTS) == ["score", "tune", "append", "data"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(UsageError, match="no GPU to measure"):
        run_parts(["score"], Asked(device="cuda"), out=None, progress=SILENT)
