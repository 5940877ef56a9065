"""The floors on real logs, against published figures; the held-back parts are not touched."""

import polars as pl
import pytest

from recollect.baselines.floors import fit_floors, item_mean, recent_rate, residual
from recollect.data.log import EventLog
from recollect.data.past import Past, PastRule
from recollect.data.protocols import resolve
from recollect.data.readers import read
from recollect.evaluation.metrics import auc, log_loss, uauc

TABLE = {
    # spec "recicl", section 6, valid part: AUC, UAUC, log loss
    "item mean": ((item_mean,), (0.690, 0.688, 0.635)),
    "recent rate, K 8": ((recent_rate(8),), (0.708, 0.394, 0.629)),
    "recent rate K 4, item mean": ((recent_rate(4), item_mean), (0.754, 0.626, 0.587)),
    "recent rate K 16, item mean": ((recent_rate(16), item_mean), (0.765, 0.640, 0.575)),
    "residual K 16, item mean": ((residual(16), item_mean), (0.769, 0.647, 0.573)),
}
STRICTLY_EARLIER = (0.765, 0.647, 0.577)


def collm(folder, *, ties_by_file):
    """The CoLLM log; `ties_by_file` makes the source's order of rows the order of time within one instant.

    Our log orders an instant by item. The published floors with ties were computed in the order of the file, so the
    test gives every row an instant of its own, in that order.
    """
    source = pl.read_csv(folder / "interactions.csv").with_row_index("line")
    if ties_by_file:
        source = source.with_columns(pl.struct("timestamp", "line").rank("ordinal").alias("timestamp"))
    columns = {
        "user": source["uid"].cast(pl.Int32),
        "item": source["iid"].cast(pl.Int32),
        "time": source["timestamp"].cast(pl.Int64),
        "value": source["label"].cast(pl.Float32),
        "label": source["label"] == 1,
        "part": (source["split"] != "train").cast(pl.Int8),
    }
    arrays = {name: column.to_numpy() for name, column in columns.items()}
    counts = {"user_count": int(arrays["user"].max()) + 1, "item_count": int(arrays["item"].max()) + 1}
    return EventLog.sorted(**arrays, **counts)


def measured(log, floor, rows):
    label, probability = log.label[rows], floor.score(rows)
    return auc(label, probability), uauc(log.user[rows], label, probability).value, log_loss(label, probability)


@pytest.fixture(scope="module")
def collm_by_file(real_log):
    return collm(real_log("ml-1m-collm"), ties_by_file=True)


@pytest.mark.parametrize("name", TABLE)
def test_collm_valid(collm_by_file, name):
    log, (columns, expected) = collm_by_file, TABLE[name]
    train, valid = (log.part == part for part in (0, 1))
    floor = fit_floors(Past(log, PastRule(ties="order")), train=train.nonzero()[0], floors={name: columns})[name]
    assert measured(log, floor, valid.nonzero()[0]) == pytest.approx(expected, abs=0.001)


def test_collm_valid_strictly_earlier_times(real_log):
    log = collm(real_log("ml-1m-collm"), ties_by_file=False)
    train, valid = (log.part == part for part in (0, 1))
    floor = fit_floors(Past(log), train=train.nonzero()[0], floors={"floor": (residual(16), item_mean)})["floor"]
    assert measured(log, floor, valid.nonzero()[0]) == pytest.approx(STRICTLY_EARLIER, abs=0.001)


def test_ml_1m_valid_item_mean(real_log):
    dataset, _ = read(real_log("ml-1m"), like="rating>=4")
    split = resolve("rella-ml1m")(dataset)
    floor = fit_floors(Past(dataset.log), train=split.train, floors={"item mean": (item_mean,)})["item mean"]
    found = measured(dataset.log, floor, split.valid)
    assert found[:2] == pytest.approx((0.7352, 0.7075), abs=0.001)
