"""`recollect recommend`: what one user would like at one moment, and why."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from recollect.cli.moment import format_time, parse_time
from recollect.cli.options import AsJson, DataFolder, RunFolder, WayName
from recollect.cli.output import show, show_json, show_table

if TYPE_CHECKING:
    from recollect.rank.ranking import Ranking

EXAMPLES: Final = """Examples:

recollect recommend run data --user 42

recollect recommend run data --user 42 --at 2013-09-01 --top 5 --explain

recollect recommend run data --user 42 --way compact-int8"""


def run(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user, as named in the log.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Know only events before TIME: unix seconds or ISO date (UTC); without it, all events.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many items.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Say which past events carried weight.")] = False,
    way: WayName = None,
    as_json: AsJson = False,
) -> None:
    """Rank items for a user from what the user did so far."""
    moment = None if at is None else parse_time(at, option="--at")

    from recollect.data.dataset import Dataset

    dataset = Dataset.load(data)

    from recollect.rank.recommender import Recommender

    recommender = Recommender.load(run_folder, dataset, way=way)
    ranking = recommender.recommend(user, at=moment, top=top, explain=explain)
    if as_json:
        show_json(ranking.to_json())
    else:
        _show(ranking)


def _show(ranking: "Ranking") -> None:
    rows = [(f"{item.rank:>3}", f"{item.score:.3f}", item.title, f"({item.item})") for item in ranking.items]
    trace = ranking.trace
    show(
        f"user {trace.user} at {format_time(trace.time)}: {trace.known:,} events known, {trace.shown:,} shown, "
        f"{trace.candidates:,} candidates, {trace.milliseconds:.0f} ms; {trace.trunk_bytes / 1000:,.0f} kB kept"
    )
    if trace.demonstrations:
        show(f"demonstrations: {trace.demonstrations}")
    show_table(rows)
    for item in ranking.items:
        if item.reasons:
            show(f"\n{item.rank}. {item.title}, because of")
            show_table(
                (
                    f"{reason.weight:8.3f}",
                    "liked" if reason.liked else "not liked",
                    reason.title,
                    format_time(reason.time),
                )
                for reason in item.reasons
            )
