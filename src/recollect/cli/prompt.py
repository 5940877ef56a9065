"""`recollect prompt`: what a model reads when it is asked about one item.

It decides that stdout holds the prompt alone, as text or token by token, and stderr what there is to know about it. A
soft token has no text; the title of its item stands for it, in angle brackets.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from recollect.cli.moment import format_time, parse_time
from recollect.cli.options import AsJson, DataFolder, RunFolder
from recollect.cli.output import say, say_table, show, show_json

if TYPE_CHECKING:
    from recollect.context.evidence import Timeline
    from recollect.data.catalog import Catalog
    from recollect.prompt.prompter import Question
    from recollect.prompt.show import PromptText
    from recollect.prompt.vocabulary import Vocabulary
    from recollect.rank.recommender import Recommender

HELP: Final = "Look at what a model is shown."

_IN_LINE: Final = 6  # tokens

EXAMPLES: Final = {
    "show": """Examples:

recollect prompt show run data --user 42 --item 858

recollect prompt show run data --user 42 --item 858 --tokens

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
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Write each token as its id and its piece, and mark where the answer is read."),
    ] = False,
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
        show("\n".join(_token_lines(described)) if tokens else described["text"])
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

    dataset, answers, vocabulary = recommender.dataset, recommender.tuned.answers, recommender.tuned.vocabulary
    name = vocabulary.tokenizer.id_to_token
    moment = recommender.context.now() if at is None else at
    question = recommender.question(user, [item], at=moment)
    line = recommender.context.timeline(recommender.person(user))
    prompt, soft = describe(question, 0, vocabulary=vocabulary), _soft(question, dataset.catalog)
    return {
        "user": user,
        "time": moment,
        "item": item,
        "title": dataset.catalog.titles[dataset.catalog.code(item)],
        "text": _text(prompt, soft, vocabulary),
        "tokens": prompt.tokens.tolist(),
        "pieces": [soft.get(place) or name(token) for place, token in enumerate(prompt.tokens.tolist())],
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
    """List the past events that the prompt holds, in time order."""
    return [
        {
            "item": catalog.ids[line.items[place]],
            "title": catalog.titles[line.items[place]],
            "liked": bool(line.labels[place]),
            "time": int(line.times[place]),
        }
        for place in question.shown.tolist()
    ]


def _soft(question: "Question", catalog: "Catalog") -> dict[int, str]:
    """Name the soft tokens of a prompt by their places: each by its item's title in angle brackets."""
    import numpy as np

    from recollect.prompt.vocabulary import ITEM

    trunk, branches, last = question.trunk, question.branches, int(question.branches.slots[0]) + 1
    tokens = np.concatenate([trunk.tokens, branches.tokens[0, :last]])
    items = np.concatenate([trunk.items, branches.items[0, :last]])
    soft = np.flatnonzero((items >= 0) & (tokens == ITEM))  # the others are answers, which have names
    return {place: f"<{catalog.titles[items[place]]}>" for place in soft.tolist()}


def _text(prompt: "PromptText", soft: dict[int, str], vocabulary: "Vocabulary") -> str:
    """Write a prompt whose soft tokens have names."""
    starts, ends = [0, *(place + 1 for place in soft)], [*soft, len(prompt.tokens)]
    runs = [vocabulary.decode(prompt.tokens[start:end]) for start, end in zip(starts, ends, strict=True)]
    return "".join(part for pair in zip(runs, [*soft.values(), ""], strict=True) for part in pair)


def _token_lines(described: dict[str, Any]) -> Iterator[str]:
    """Write tokens as pairs of id and piece, in lines that begin with the place of their first token."""
    pairs = zip(described["tokens"], described["pieces"], strict=True)
    cells = [f"{token} {json.dumps(piece, ensure_ascii=False)}" for token, piece in pairs]
    cells[described["answered_at"]] += " <- the answer is read here"
    for first in range(0, len(cells), _IN_LINE):
        yield f"{first:>5}: " + "  ".join(cells[first : first + _IN_LINE])


def _say_facts(described: dict[str, Any]) -> None:
    answers = (f"{one['word']} {one['tokens']}" for one in described["answers"])
    dropped, shown = described["dropped"], described["shown"]
    say("")
    say_table(
        [
            ("asked", f"{described['title']} ({described['item']}) at {format_time(described['time'])}"),
            ("tokens", f"{len(described['tokens']):,}; --tokens lists them"),
            ("answered at", f"token {described['answered_at']:,}, position {described['position']:,}"),
            ("answers", ", ".join(answers)),
            ("left out for the budget", f"{dropped['demonstrations']} demonstrations, {dropped['events']} events"),
            ("events", f"{described['known']:,} known, {len(shown):,} shown"),
        ]
    )
    verdicts = {True: "liked", False: "not liked"}
    say_table((format_time(one["time"]), verdicts[one["liked"]], one["title"]) for one in shown)
