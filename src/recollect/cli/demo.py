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
    from recollect.rank.freshness import Freshness
    from recollect.run.tuned import TunedModel

EXAMPLES: Final = """Examples:

recollect demo

recollect demo --out runs/tiny --preset tiny"""


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
    show(f"\n5. Written to {out}: data/, recipe.toml, model/, channel.safetensors, metrics.json, report.html")
    show(f"   open {out / 'report.html'}")
    show(f"   recollect recommend {out} {out / 'data'} --user {freshness.user} --explain")
    say(f"demo finished in {time.monotonic() - begun:.0f} s")


def _show_freshness(freshness: "Freshness") -> None:
    show(f"\n4. The list of user {freshness.user} before and after that person's next three real events\n")
    before = freshness.before.items[: len(freshness.after.items)]
    show_table(
        [(item.rank, f"{item.score:.3f}", item.title) for item in before],
        title="before",
        header=("rank", "score", "item"),
    )
    rows = [(step.title, f"{step.value:g}", "like" if step.liked else "no like", f"{step.expected:.3f}", f"{step.milliseconds:.0f} ms") for step in freshness.steps]  # fmt: skip
    show_table(rows, header=("event", "rating", "is a", "expected", "event to new list"), title="\nthen")
    show_table(_move_rows(freshness), header=("rank", "before", "score", "before", "item"), title="\nafter")
    show("\nwhich past events carried weight (log-odds that the answer loses without them)")
    for item in freshness.after.items[:3]:
        show(f"  {item.title}")
        for reason in item.reasons:
            show(f"    {reason.weight:+.3f}  {'liked' if reason.liked else 'not liked'}  {reason.title}")
    same = "the same" if freshness.digest_before == freshness.digest_after else "CHANGED"
    show(f"\nSHA-256 of the weights before  {freshness.digest_before}")
    show(f"SHA-256 of the weights after   {freshness.digest_after}  ({same})")


def _move_rows(freshness: "Freshness") -> list[tuple[str, ...]]:
    return [
        (str(rank), _moved(rank, old), f"{score:.3f}", "–" if earlier is None else f"{earlier:.3f}", title)
        for rank, old, title, score, earlier in freshness.moves()
    ]


def _moved(rank: int, old: int) -> str:
    arrow = "=" if old == rank else "▲" if old > rank else "▼"
    return f"{old} {arrow}" if old else "new"


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

    events = [(s.title, f"{s.value:g}", "like" if s.liked else "no like", f"{s.expected:.3f}", f"{s.milliseconds:.0f} ms") for s in freshness.steps]  # fmt: skip
    reasons = [
        (item.title, reason.title, "liked" if reason.liked else "not liked", f"{reason.weight:+.3f}")
        for item in freshness.after.items[:5]
        for reason in item.reasons
    ]
    return [
        Section(
            f"Three real events of user {freshness.user}",
            events,
            ("event", "rating", "is a", "expected", "to new list"),
        ),
        Section(
            "The list after them",
            _move_rows(freshness),
            ("rank", "before", "score", "before", "item"),
            note="No weight changed: the model's SHA-256 is the same before and after.",
        ),
        Section("Past events that carried weight", reasons, ("item", "because of", "that was", "log-odds")),
    ]
