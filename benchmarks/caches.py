"""What do fewer bits of a person's cache do to scores?

    python -m benchmarks.caches RUN DATA --protocol rella-ml1m --rows 2500 --json caches.json

Rows of whole users of the validation part are asked as serving asks them, in time order and each at its instant,
behind the trunks that serving keeps; the same once for every kind of cache. Printed: bytes of a token, AUC, UAUC, log
loss, and by how much log-odds move against the cache that keeps what was computed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import logit

from recollect.cli.output import show_table
from recollect.cli.progress import shown_progress
from recollect.data.dataset import Dataset
from recollect.data.splits import rows_of_some_users
from recollect.evaluation.metrics import auc, log_loss, uauc
from recollect.model.quantised import CACHE_KINDS
from recollect.model.ways import bytes_per_token, use_way
from recollect.progress import Progress
from recollect.rank.assess import split_of
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--protocol")
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--way", default="compact")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    dataset = Dataset.load(asked.data)
    split = split_of(TunedModel.load(asked.run), dataset, protocol=asked.protocol)
    rows = rows_of_some_users(dataset.log, split.valid, wanted=asked.rows)
    found: dict[str, Float64[np.ndarray, " R"]] = {}
    sizes: dict[str, float] = {}
    with shown_progress() as progress:
        for kind in CACHE_KINDS:
            recommender = Recommender.load(asked.run, dataset, way=asked.way)
            use_way(recommender.model, asked.way, cache=kind)
            found[kind] = _asked(recommender, rows, progress=progress, label=f"cache {kind}")
            sizes = bytes_per_token(recommender.model)
    exact = found["as computed"]
    result = {
        kind: {"bytes of a token": sizes[kind], **_quality(dataset, rows, one), **_moved(one, exact)}
        for kind, one in found.items()
    }
    table = [[kind, *(f"{value:.7g}" for value in facts.values())] for kind, facts in result.items()]
    show_table(table, header=("cache", *result["int8"]))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _asked(
    recommender: Recommender, rows: Int64[np.ndarray, " R"], *, progress: Progress, label: str
) -> Float64[np.ndarray, " R"]:
    """Ask about each row at its instant, in time order, so that trunks grow as they do in the service."""
    dataset, log = recommender.dataset, recommender.dataset.log
    found = np.empty(len(rows))
    progress.start(label, len(rows))
    for done, row in enumerate(rows.tolist()):
        user, item = dataset.users.ids[log.user[row]], dataset.catalog.ids[log.item[row]]
        found[done] = recommender.score(user, [item], at=int(log.time[row]))[0]
        progress.advance(done + 1)
    progress.finish()
    return found


def _quality(
    dataset: Dataset, rows: Int64[np.ndarray, " R"], probability: Float64[np.ndarray, " R"]
) -> dict[str, float]:
    label = dataset.log.label[rows]
    return {
        "AUC": auc(label, probability),
        "UAUC": uauc(dataset.log.user[rows], label, probability).value,
        "log loss": log_loss(label, probability),
    }


def _moved(probability: Float64[np.ndarray, " R"], exact: Float64[np.ndarray, " R"]) -> dict[str, float]:
    apart = np.abs(logit(probability) - logit(exact))
    return {"log-odds moved, mean": float(apart.mean()), "at most": float(apart.max())}


if __name__ == "__main__":
    main()
