"""Tables of what was found, as cells of text: promises first, then all times, then facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recollect.bench.result import Row, WayTime

__all__ = ["ROW_HEADER", "TIME_HEADER", "fact_cells", "note_lines", "row_cells", "time_cells"]

ROW_HEADER: Final = ("work", "model", "against", "at least", "measured", "arithmetic", "of peak", "units", "")
TIME_HEADER: Final = ("way", "median ms", "quartiles ms", "cores ms", "runs", "GFLOP", "MB", "GFLOP/s", "of peak")
_NOTHING: Final = "-"


def row_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Show promises beside measurements; what was scaled or computed in another type is a footnote."""
    notes = _notes(rows)
    return [
        (
            row.work
            + (f", {row.precision}" if row.precision not in row.against and row.ours else "")
            + _mark(row, notes),
            row.backbone,
            row.against,
            _target(row),
            _times(row.ratio),
            _times(row.allowed),
            _percent(row.peak_share),
            _NOTHING if row.rate is None else f"{row.rate:,.0f}/s",
            row.verdict,
        )
        for row in rows
    ]


def note_lines(rows: Sequence[Row]) -> list[str]:
    """Write out the footnotes of `row_cells`."""
    return [f"[{number}] {note}" for number, note in enumerate(_notes(rows), start=1)]


def _notes(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.note for row in rows if row.note))


def _mark(row: Row, notes: Sequence[str]) -> str:
    return f" [{notes.index(row.note) + 1}]" if row.note else ""


def time_cells(times: Sequence[WayTime]) -> list[tuple[str, ...]]:
    """Show what each way took."""
    return [
        (
            one.way + (f" ({one.note})" if one.note else ""),
            f"{one.median_ms:,.2f}",
            f"{one.low_ms:,.2f} to {one.high_ms:,.2f}",
            f"{one.cores_ms:,.2f}",
            str(one.runs),
            _scaled(one.flops, 1e9),
            _scaled(one.bytes, 1e6),
            _NOTHING if one.gflops is None else f"{one.gflops:,.1f}",
            _percent(one.peak_share),
        )
        for one in times
    ]


def _target(row: Row) -> str:
    if row.target is None:
        return _NOTHING
    return f"{row.target:.0f}x" if row.aim == "ratio" else f"{row.target:.0%} peak"


def _times(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3g}x"


def _percent(share: float | None) -> str:
    return _NOTHING if share is None else f"{share:.0%}"


def _scaled(value: float | None, unit: float) -> str:
    return _NOTHING if value is None else f"{value / unit:,.2f}"


def fact_cells(facts: dict[str, float | str]) -> list[tuple[str, str]]:
    """Show numbers that are no times."""
    return [
        (name, value if isinstance(value, str) else f"{value:,.0f}" if value >= 1 else f"{value:.1e}")
        for name, value in facts.items()
    ]
