"""What the page shows, as values: from an answer and its explanation to lines that a template only has to print.

It decides that nothing here ranks, scores or chooses; and that whatever is said by an arrow, a bar or a colour is
said in words too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from recollect.rank.ranking import RankedItem, Reason
from recollect.service.page_words import duration, fit, moment, percent, signed
from recollect.service.queries import Answer, Explanation

_DIGITS: Final = 12  # of a digest, enough to compare by eye

FALLBACKS: Final[Mapping[str, str]] = {
    "deadline": "the model would have answered too late",
    "overload": "too many questions waited for the model",
    "starting": "the model was still being loaded",
    "failure": "the model could not answer this question",
}
"""Why the light ranker answered, in words."""

MoveKind = Literal["none", "same", "up", "down", "new"]


@dataclass(frozen=True, slots=True)
class Move:
    """How an item moved against the list before; `places` is how far, 0 or more."""

    kind: MoveKind
    places: int = 0

    @property
    def sign(self) -> str:
        """What the eye sees."""
        signs: Mapping[MoveKind, str] = {"none": "", "same": "=", "up": f"▲ {self.places}", "new": "new"}
        return signs.get(self.kind, f"▼ {self.places}")

    @property
    def words(self) -> str:
        """The same for those who do not see it."""
        places = "1 place" if self.places == 1 else f"{self.places} places"
        said: Mapping[MoveKind, str] = {"none": "", "same": "where it was", "new": "new in the list"}
        return said.get(self.kind, f"{self.kind} {places}")


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """A past event that carried weight: `weight` in nats as text, `share` of the strongest one in percent."""

    title: str
    liked: bool
    speaks_for: bool
    weight: str
    share: int


@dataclass(frozen=True, slots=True)
class Row:
    """An item in its place; `score` is a probability as text."""

    rank: int
    item: str
    title: str
    score: str
    move: Move
    reasons: tuple[ReasonLine, ...]


@dataclass(frozen=True, slots=True)
class PastLine:
    """A past event; `live` if it came in since the import, `day` for people and `moment` for machines."""

    title: str
    liked: bool
    live: bool
    day: str
    moment: str

    @classmethod
    def of(cls, title: str, *, liked: bool, live: bool, time: int) -> PastLine:
        """Put a past event into words; `time` in unix seconds."""
        return cls(fit(title), liked, live, *moment(time))


@dataclass(frozen=True, slots=True)
class Hit:
    """A title that was found, with what the person said of it last: "like", "dislike" or nothing."""

    item: str
    title: str
    note: str
    said: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A person to look at, and in a line why."""

    user: str
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A list that was shown before: titles by item id, best first, and the digest of the weights."""

    titles: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was pressed, and what the list was before.

    Parameters
    ----------
    title : str
        Of the item.
    liked : bool
        Which button.
    milliseconds : float or None
        Until the event was durable and known to the engine; None if that was not measured.
    before : Shown or None
        The list before, None if it is not kept any more.
    """

    title: str
    liked: bool
    milliseconds: float | None
    before: Shown | None


@dataclass(frozen=True, slots=True)
class ListView:
    """The list and how it came about.

    Parameters
    ----------
    request_id : str
        Of the answer.
    rows : tuple of Row
        Items, best first.
    left : tuple of str
        Titles that were in the list before and are not now.
    summary : str
        What happened, in a sentence or three; spoken to those who do not see the list.
    ranker, model : str
        Sentences: who answered, and that the weights are what they were.
    figures : tuple of (str, str)
        Values and their names: what a person should see first.
    facts : tuple of (str, str)
        Names and values of the trace.
    """

    request_id: str
    rows: tuple[Row, ...]
    left: tuple[str, ...]
    summary: str
    ranker: str
    model: str
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


def view_list(answer: Answer, explanation: Explanation | None, change: Change | None) -> ListView:
    """Put an answer into words.

    Parameters
    ----------
    answer : Answer
        Of the engine.
    explanation : Explanation or None
        Of that answer; None if there is none to be had.
    change : Change or None
        What was pressed just before.
    """
    before = change.before if change else None
    reasons = {one.item: one.reasons for one in explanation.items} if explanation else {}
    rows = tuple(view_row(one, reasons.get(one.item, ()), before=before) for one in answer.ranking.items)
    here = {row.item for row in rows}
    digest = explanation.digest if explanation and explanation.untouched else ""
    left = () if before is None else tuple(title for item, title in before.titles.items() if item not in here)
    return ListView(
        request_id=answer.request_id,
        rows=rows,
        left=tuple(map(fit, left)),
        summary=summarize(rows, change),
        ranker=say_ranker(answer),
        model=say_model(digest, before),
        figures=view_figures(rows, change, milliseconds=answer.milliseconds, digest=digest),
        facts=view_facts(answer),
    )


def view_row(one: RankedItem, reasons: Sequence[Reason], *, before: Shown | None) -> Row:
    """Put an item and its reasons into words."""
    strongest = max((abs(why.weight) for why in reasons), default=0.0) or 1.0
    lines = tuple(
        ReasonLine(fit(why.title), why.liked, why.weight >= 0, signed(why.weight), _share(why.weight, strongest))
        for why in reasons
    )
    return Row(one.rank, one.item, fit(one.title), percent(one.score), moved(one.item, one.rank, before=before), lines)


def moved(item: str, rank: int, *, before: Shown | None) -> Move:
    """Tell how an item moved.

    Examples
    --------
    >>> before = Shown({"a": "A", "b": "B"}, digest="")
    >>> moved("b", 1, before=before), moved("c", 2, before=before).words
    (Move(kind='up', places=1), 'new in the list')
    """
    if before is None:
        return Move("none")
    ranks = {other: place for place, other in enumerate(before.titles, start=1)}
    if item not in ranks:
        return Move("new")
    climbed = ranks[item] - rank
    return Move("up" if climbed > 0 else "down" if climbed < 0 else "same", abs(climbed))


def summarize(rows: Sequence[Row], change: Change | None) -> str:
    """Say in a sentence or three what happened."""
    first = f"First is {rows[0].title}." if rows else "There is nothing left to recommend."
    if change is None:
        return first
    said = f"You {'liked' if change.liked else 'disliked'} {fit(change.title)}."
    if change.before is None:
        return f"{said} {first}"
    return f"{said} {_changed(rows)} of {len(rows)} places changed. {first}"


def say_ranker(answer: Answer) -> str:
    """Say who answered, and why, if that was not the model."""
    if answer.ranker == "model":
        return f"The model {answer.arm} ranked these."
    why = FALLBACKS.get(answer.fallback or "", answer.fallback or "the service was set so")
    return f"The light ranker answered, because {why}. It counts likes and similar titles, and names no past events."


def say_model(digest: str, before: Shown | None) -> str:
    """Say whether the weights are what they were; the digest is empty unless they were hashed anew and found so."""
    if not digest:
        return "No event touches the model: it only changes what the model is shown."
    now = f"{digest[:_DIGITS]}…"
    if before is None or not before.digest:
        return f"No event touches the model: its weights have the digest {now}, and keep it."
    if before.digest == digest:
        return f"The model was not touched: both lists, before and after, come from weights with the digest {now}"
    return (
        f"Another model answers now: the digest was {before.digest[:_DIGITS]}… and is {now}. "
        "Somebody who runs the service changed it; an event cannot."
    )


def view_figures(
    rows: Sequence[Row], change: Change | None, *, milliseconds: float, digest: str
) -> tuple[tuple[str, str], ...]:
    """Name the figures that a person should see first."""
    figures = [(duration(milliseconds), "for the list")]
    if change and change.milliseconds is not None:
        figures.insert(0, (duration(change.milliseconds), "to store the event for good"))
    if change and change.before is not None:
        figures.append((f"{_changed(rows)} of {len(rows)}", "places changed"))
        if digest and digest == change.before.digest:
            figures.append(("same", "weights as before"))
    return tuple(figures)


def view_facts(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Name what the stations decided."""
    trace = answer.ranking.trace
    facts = [("Past events known", trace.known), ("Titles compared", trace.candidates)]
    if answer.ranker == "model":
        facts += [
            ("Past events shown to the model", trace.shown),
            ("Tokens remembered", trace.tokens_reused),
            ("Tokens read anew", trace.tokens_new),
        ]
    return tuple((name, f"{value:,}") for name, value in facts)


def _share(weight: float, strongest: float) -> int:
    return max(2, round(100 * abs(weight) / strongest))


def _changed(rows: Sequence[Row]) -> int:
    return sum(row.move.kind != "same" for row in rows)
