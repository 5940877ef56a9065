"""`recollect prompt`: what a model reads when it is asked about one item.

It decides that stdout holds the prompt alone, as the model reads it, and stderr what there is to know about it. A soft
token has no text; the title of its item stands for it, in angle brackets.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from recollect.cli.moment import format_time, parse_time
from recollect.cli.options import AsJson, DataFolder, RunFolder
from recollect.cli.output import say, say_table, show, show_json

if TYPE_CHECKING:
    from recollect.context.evidence import Timeline
    from recollect.data.catalog import Catalog
    from recollect.prompt.prompter import Question
    from recollect.prompt.vocabulary import Vocabulary
    from recollect.rank.recommender import Recommender

HELP: Final = "Look at what a model is shown."

EXAMPLES: Final = {
    "show": """Examples:

recollect prompt show run data --user 42 --item 858

recollect prompt show run data --user 42 --item 858 --at 2013-09-01 --json""",
}


def show_prompt(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user, as named in the log.")],
    item: Annotated[str, typer.Option("--item", metavar="ID", help="The item asked about, as named in the catalog.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Know only events before TIME: unix seconds or ISO date (UTC); without it, all events.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the exact text that a model sees, where it answers, and what was left out."""
    moment = None if at is None else parse_time(at, option="--at")

    from recollect.data.dataset import Dataset

    dataset = Dataset.load(data)

    from recollect.rank.recommender import Recommender

    described = describe_prompt(Recommender.load(run_folder, dataset), user, item, at=moment)
    if as_json:
        show_json(described)
    else:
        show(described["text"])
        _say_facts(described)


def describe_prompt(recommender: "Recommender", user: str, item: str, *, at: int | None) -> dict[str, Any]:
    """Give everything about one prompt, as `--json` writes it.

    Parameters
    ----------
    recommender
        A run, set to a dataset.
    user, item
        Ids.
    at
        Unix seconds; None knows everything so far.

    Raises
    ------
    UnknownUser, UnknownItem
        If an id is unknown.
    """
    from recollect.prompt.show import describe

    dataset, answers = recommender.dataset, recommender.tuned.answers
    moment = recommender.context.now() if at is None else at
    question = recommender.question(user, [item], at=moment)
    line = recommender.context.timeline(recommender.person(user))
    prompt = describe(question, 0, vocabulary=recommender.tuned.vocabulary)
    return {
        "user": user,
        "time": moment,
        "item": item,
        "title": dataset.catalog.titles[dataset.catalog.code(item)],
        "text": _named(question, recommender.tuned.vocabulary, dataset.catalog) or prompt.text,
        "tokens": prompt.tokens.tolist(),
        "answered_at": len(prompt.tokens) - 1,
        "position": prompt.position,
        "answers": [
            {"word": word, "tokens": list(tokens)} for word, tokens in zip(answers.words, answers.tokens, strict=True)
        ],
        "known": line.visible_at(moment, gap=recommender.context.gap),
        "shown": _shown(question, line, dataset.catalog),
        "dropped": {"demonstrations": prompt.dropped.demonstrations, "events": prompt.dropped.events},
    }


def _shown(question: "Question", line: "Timeline", catalog: "Catalog") -> list[dict[str, Any]]:
    """List the past events that have a place of their own in the prompt, in time order."""
    places = sorted({place for place in question.events.tolist() if place >= 0})
    return [
        {
            "item": catalog.ids[line.items[place]],
            "title": catalog.titles[line.items[place]],
            "liked": bool(line.labels[place]),
            "time": int(line.times[place]),
        }
        for place in places
    ]


def _named(question: "Question", vocabulary: "Vocabulary", catalog: "Catalog") -> str:
    """Write a prompt with soft tokens, each as its item's title in angle brackets; empty if there is none."""
    import numpy as np

    from recollect.prompt.vocabulary import ITEM

    trunk, branches, last = question.trunk, question.branches, int(question.branches.slots[0]) + 1
    tokens = np.concatenate([trunk.tokens, branches.tokens[0, :last]])
    items = np.concatenate([trunk.items, branches.items[0, :last]])
    soft = np.flatnonzero((items >= 0) & (tokens == ITEM))  # the others are answers, which have names
    if not len(soft):
        return ""
    runs = [vocabulary.decode(part) for part in np.split(tokens, np.ravel(np.column_stack([soft, soft + 1])))[::2]]
    titles = [f"<{catalog.titles[item]}>" for item in items[soft].tolist()]
    return "".join(part for pair in zip(runs, [*titles, ""], strict=True) for part in pair)


def _say_facts(described: dict[str, Any]) -> None:
    answers = (f"{one['word']} {one['tokens']}" for one in described["answers"])
    dropped, shown = described["dropped"], described["shown"]
    say("")
    say_table(
        [
            ("asked", f"{described['title']} ({described['item']}) at {format_time(described['time'])}"),
            ("tokens", f"{len(described['tokens']):,}"),
            ("answered at", f"token {described['answered_at']:,}, position {described['position']:,}"),
            ("answers", ", ".join(answers)),
            ("left out for the budget", f"{dropped['demonstrations']} demonstrations, {dropped['events']} events"),
            ("events", f"{described['known']:,} known, {len(shown):,} shown"),
        ]
    )
    verdicts = {True: "liked", False: "not liked"}
    say_table((format_time(one["time"]), verdicts[one["liked"]], one["title"]) for one in shown)
