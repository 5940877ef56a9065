"""`recollect demo`: the whole way on a real log that comes with the package, in five minutes on two cores."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from recollect.cli.measures import show_measures
from recollect.cli.output import say, show, show_table
from recollect.cli.progress import shown_progress

if TYPE_CHECKING:
    from recollect.data.dataset import Dataset
    from recollect.evaluation.report import Section
    from recollect.rank.assess import Assessment
    from recollect.rank.freshness import Freshness, Move
    from recollect.run.tuned import TunedModel

EXAMPLES: Final = """Examples:

recollect demo

recollect demo --out runs/tiny --preset tiny"""


_TOP: Final = 10
_AMONG: Final = 300
_EVENT_HEADER: Final = ("event", "rating", "is a", "expected", "event to new list")
_MOVE_HEADER: Final = ("rank", "before", "score", "before", "item")


def run(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for the run.")] = Path("runs/demo"),
    preset: Annotated[
        str, typer.Option("--preset", metavar="P", help="Size of the model: tiny, nano, small.")
    ] = "nano",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Import, tune, evaluate and explain on the bundled MovieTweetings log, without network, account or GPU."""
    from recollect.data.bundled import movietweetings
    from recollect.data.protocols import resolve
    from recollect.rank.assess import evaluate
    from recollect.rank.freshness import choose_user, watch
    from recollect.recipe import load_recipe
    from recollect.tuning.run import tune

    begun = time.monotonic()
    show("1. A real log: MovieTweetings\n")
    dataset = movietweetings()
    for line in dataset.facts.lines():
        show(line)
    split = resolve("time")(dataset)

    show(f"\n2. Tuning a model from scratch on the first 80 % of time: {len(split.train):,} events\n")
    with shown_progress() as progress:
        recipe = load_recipe("stream", preset=preset)
        tuned = tune(dataset, out=out, recipe=recipe, split=split, seed=seed, progress=progress)
        dataset.save(out / "data")
        show(f"\n3. Replaying the last 10 % of time in order: {len(split.test):,} events\n")
        assessment = evaluate(out, dataset, protocol="time", part="test", progress=progress)
    show_measures(assessment.result)

    freshness = watch(tuned, dataset, user=choose_user(dataset, split))
    _show_freshness(freshness)
    _write_report(out, dataset, assessment, tuned=tuned, freshness=freshness)
    show(f"\n5. Written to {out}: data/, recipe.toml, model/, vectors.safetensors, metrics.json, report.html")
    show(f"   open {out / 'report.html'}")
    show(f"   recollect recommend {out} {out / 'data'} --user {freshness.user} --explain")
    say(f"demo finished in {time.monotonic() - begun:.0f} s")


def _show_freshness(freshness: "Freshness") -> None:
    show(f"\n4. The list of user {freshness.user} before and after that person's next three real events\n")
    before = [(item.rank, f"{item.score:.3f}", item.title) for item in freshness.before.items[:_TOP]]
    show_table(before, title="before", header=("rank", "score", "item"))
    show_table(_event_rows(freshness), title="\nthen", header=_EVENT_HEADER)
    show_table(_move_rows(freshness.moves(top=_TOP)), title="\nafter", header=_MOVE_HEADER)
    moved = freshness.largest_moves(among=_AMONG, count=5)
    show_table(_move_rows(moved), title=f"\nlargest moves among the first {_AMONG}", header=_MOVE_HEADER)
    show("\nwhich past events carried weight (log-odds that the answer loses without them)")
    for item in freshness.reasons[:3]:
        show(f"  {item.title}")
        for reason in item.reasons:
            show(f"    {reason.weight:+.3f}  {'liked' if reason.liked else 'not liked'}  {reason.title}")
    same = "the same" if freshness.digest_before == freshness.digest_after else "CHANGED"
    show(f"\nSHA-256 of the weights before  {freshness.digest_before}")
    show(f"SHA-256 of the weights after   {freshness.digest_after}  ({same})")


def _event_rows(freshness: "Freshness") -> list[tuple[str, ...]]:
    return [
        (
            step.title,
            f"{step.value:g}",
            "like" if step.liked else "no like",
            f"{step.expected:.3f}",
            f"{step.milliseconds:.0f} ms",
        )
        for step in freshness.steps
    ]


def _move_rows(moves: "list[Move]") -> list[tuple[str, ...]]:
    return [
        (
            str(move.rank),
            _moved(move.rank, move.rank_before),
            f"{move.score:.3f}",
            "–" if move.score_before is None else f"{move.score_before:.3f}",
            move.title,
        )
        for move in moves
    ]


def _moved(rank: int, before: int | None) -> str:
    if before is None:
        return "new"
    return f"{before} {'=' if before == rank else '▲' if before > rank else '▼'}"


def _write_report(
    out: Path, dataset: "Dataset", assessment: "Assessment", *, tuned: "TunedModel", freshness: "Freshness"
) -> None:
    from recollect.evaluation.report import Report, write_report

    epochs = tuned.card["epochs"]
    losses = {
        "tuning": [(row["epoch"], row["loss"]) for row in epochs],
        "validation": [(row["epoch"], row["validation_log_loss"]) for row in epochs if "validation_log_loss" in row],
    }
    report = Report(
        title="recollect on MovieTweetings",
        evaluation=assessment.result,
        predictions=assessment.predictions,
        recipe=(out / "recipe.toml").read_text(encoding="utf-8"),
        facts={
            "data": f"{len(dataset.log):,} events, {len(dataset.users):,} users, {len(dataset.catalog):,} items",
            "seed": str(tuned.card["seed"]),
            "weights (SHA-256)": freshness.digest_after,
        },
        sections=_sections(freshness),
        losses=losses,
    )
    write_report(out / "report.html", report)


def _sections(freshness: "Freshness") -> "list[Section]":
    from recollect.evaluation.report import Section

    reasons = [
        (item.title, reason.title, "liked" if reason.liked else "not liked", f"{reason.weight:+.3f}")
        for item in freshness.reasons[:5]
        for reason in item.reasons
    ]
    return [
        Section(f"Three real events of user {freshness.user}", _event_rows(freshness), _EVENT_HEADER),
        Section(
            "The list after them",
            _move_rows(freshness.moves(top=_TOP)),
            _MOVE_HEADER,
            note="No weight changed: the SHA-256 of the model is the same before and after.",
        ),
        Section(
            f"Largest moves among the first {_AMONG}",
            _move_rows(freshness.largest_moves(among=_AMONG, count=10)),
            _MOVE_HEADER,
        ),
        Section("Past events that carried weight", reasons, ("item", "because of", "that was", "log-odds")),
    ]
