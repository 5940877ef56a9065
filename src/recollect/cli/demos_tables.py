"""What was found about demonstrations, as rows of text for the terminal and for the page. It decides the decimals."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from recollect.context.effect_report import DemonstrationLine
from recollect.context.effect_set import SetLine
from recollect.context.effect_watch import LOSSES, Shown, Watch
from recollect.run.effect_layouts import LayoutComparison

WATCH_HEADER: Final = ("asked", "liked", "set", "of", "in", "out", *LOSSES)

_ABSENT: Final = "–"
_EXACT: Final = frozenset({"alone", "left out"})
_WIDE: Final = frozenset({"shown", "like", "helped", "hurt"})  # where there is room
_TITLE, _NARROW, _MOVED = 40, 24, 20  # letters of a title, where there is little

Column = Callable[[DemonstrationLine], str]


def line_rows(lines: Sequence[DemonstrationLine], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Write the header and the row of each candidate; exact effects are there if they were measured.

    Parameters
    ----------
    lines : sequence of DemonstrationLine
        The candidates.
    wide : bool
        Whether there is room for every column and for whole titles.
    """
    exact = any(line.single is not None for line in lines)
    title = 200 if wide else _NARROW if exact else _TITLE
    columns: dict[str, Column] = {
        "demonstration": lambda line: short(line.title, title),
        "liked": lambda line: _word(line.liked),
        "verdict": lambda line: line.verdict or _ABSENT,
        "shown": lambda line: _ABSENT if line.shown is None else _word(line.shown),
        "tokens": lambda line: str(line.tokens),
        "seen by": lambda line: str(line.seen),
        "effect": lambda line: _number(line.effect),
        "s.e.": lambda line: _number(line.error, form=".4f"),
        "per 100": lambda line: _number(line.per_100_tokens),
        "of set": lambda line: _number(line.path_share, form=".0%"),
        "alone": lambda line: _number(line.single),
        "left out": lambda line: _number(line.leave_one_out),
        "like": lambda line: line.similar or _ABSENT,
        "overlap": lambda line: _number(line.redundancy, form=".2f"),
        "helped": lambda line: _number(line.helped, form=".0%"),
        "hurt": lambda line: _number(line.hurt, form=".0%"),
        "moves": lambda line: _number(line.attention, form=".1%"),
    }
    kept = {
        name: column
        for name, column in columns.items()
        if (exact or name not in _EXACT) and (wide or name not in _WIDE)
    }
    return list(kept), [[column(line) for column in kept.values()] for line in lines]


def layout_rows(compared: LayoutComparison) -> list[tuple[str, str]]:
    """Write what the most recent demonstrations do side by side and as served, as facts with their names."""
    return [
        (f"the latest {compared.count}, side by side", _with_error(compared.blocks, compared.blocks_error)),
        ("one after the other, as served", _with_error(compared.served, compared.served_error)),
    ]


def set_rows(whole: SetLine) -> list[tuple[str, str]]:
    """Write what all candidates do together, as facts with their names."""
    before, after = whole.hit_rate
    return [
        (
            "measured",
            f"{whole.demonstrations} demonstrations of {whole.tokens:,} tokens on {whole.queries} known answers",
        ),
        ("loss without demonstrations", f"{whole.zero_shot:.4f} nats"),
        ("loss with all of them", f"{whole.in_context:.4f} nats"),
        ("effect of the set", f"{_with_error(whole.effect, whole.error)} ({whole.relative:+.1%})"),
        ("answers hit, without and with", f"{before:.1%}, {after:.1%}"),
        ("NDCG, without and with", f"{whole.ndcg[0]:.4f}, {whole.ndcg[1]:.4f}"),
        ("attention that moves to them", f"{whole.moved:.1%}"),
        ("predictions move by", f"{whole.divergence:.4f} nats"),
        ("answers of the most attended one", f"{whole.copied:.1%}"),
        ("entropy of predictions", f"{whole.entropy:.4f} nats"),
        ("directions they push in", f"{whole.directions:.1f}"),
        ("best strength", f"{whole.strength:g}"),
    ]


def watch_rows(watch: Watch, *, wide: bool) -> list[list[str]]:
    """Write a row for each watched event; `wide` as in `line_rows`."""
    title, between = (200, " · ") if wide else (_MOVED, "\n")
    return [
        [
            short(event.asked.title, title + 6),
            _word(event.asked.liked),
            event.kind,
            str(len(event.shown)),
            between.join(_titles(event.entered, title)),
            between.join(_titles(event.left, title)),
            *(f"{getattr(event, name):.3f}" for name in LOSSES),
        ]
        for event in watch.events
    ]


def watch_facts(watch: Watch) -> list[tuple[str, str]]:
    """Write what the watched events have in common, as facts with their names."""
    means = watch.losses()
    return [
        ("events", f"{len(watch.events)}, {watch.moves} demonstrations came in after the first"),
        ("mean loss with the chosen set", f"{means['chosen']:.4f} nats"),
        ("with the most recent ones", f"{means['recent']:.4f} nats, {_gain(watch, 'recent')}"),
        ("with none", f"{means['none']:.4f} nats, {_gain(watch, 'none')}"),
    ]


def _gain(watch: Watch, other: str) -> str:
    gain, error = watch.gain(other)
    return f"{gain:+.4f} ± {error:.4f} more" if error is not None else f"{gain:+.4f} more"


def short(title: str, length: int) -> str:
    """Cut a title."""
    return title if len(title) <= length else f"{title[: length - 1]}…"


def _titles(shown: Iterable[Shown], length: int) -> list[str]:
    return [short(one.title, length) for one in shown] or [_ABSENT]


def _word(holds: bool) -> str:  # noqa: FBT001 - it is the argument
    return "yes" if holds else "no"


def _with_error(value: float, error: float | None) -> str:
    known = error is not None and math.isfinite(error)
    return f"{value:+.4f} nats" + (f" ± {error:.4f}" if known else ", of one answer")


def _number(value: float | None, *, form: str = "+.4f") -> str:
    return _ABSENT if value is None else format(value, form)
