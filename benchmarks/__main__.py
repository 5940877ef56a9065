"""`python -m benchmarks [--json FILE] [--quick]`: measure, print tables, write JSON under `runs/bench/`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    """Read the options, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed, as ratios in one run.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the JSON goes (default: runs/bench/TIME.json)")
    parser.add_argument("--quick", action="store_true", help="a small world and two rounds, to see that all of it runs")
    options = parser.parse_args()

    from benchmarks.report import show_report, write_report
    from benchmarks.suite import FULL, QUICK, measure

    report = measure(QUICK if options.quick else FULL)
    show_report(report)
    stamp = time.strftime("%Y-%m-%dT%H%M%S", time.gmtime())
    write_report(report, options.json or Path("runs/bench") / f"{stamp}.json")


if __name__ == "__main__":
    main()
