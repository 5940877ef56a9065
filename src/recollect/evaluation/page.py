"""The frame of a page: one HTML file that needs nothing but itself.

Decides: no script, no link, no font and no picture from elsewhere; every text that comes from data is escaped where it
enters; the same input gives the same bytes; a page is written aside and then renamed.

Source: issue "First light", `report.html`.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from recollect.errors import translate

_STYLE = Path(__file__).with_name("report.css")


def frame(title: str, body: str) -> str:
    """Put the body of a page, HTML already, between head and end, with the style sheet inside."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def heading(title: str, *, note: str) -> str:
    """Write the head of a page: what it shows, and one quiet line about it."""
    return f'<header>\n<h1>{escape(title)}</h1>\n<p class="quiet">{escape(note)}</p>\n</header>\n'


def grid(rows: Iterable[Sequence[str]], *, header: Sequence[str], label: str, kind: str = "card") -> str:
    """Write a table of plain text; `label` says what it is to those who cannot see it."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return (
        f'<div class="{kind}" role="region" aria-label="{escape(label, quote=True)}" tabindex="0">\n<table>\n'
        + (f"<thead><tr>{head}</tr></thead>\n" if header else "")
        + f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def figure(title: str, svg: str, *, note: str = "") -> str:
    """Write a drawing with its title and a line below it."""
    return f"<figure>\n<h3>{escape(title)}</h3>\n{svg}\n<figcaption>{escape(note)}</figcaption>\n</figure>\n"


def facts(entries: Mapping[str, str]) -> str:
    """Write facts with their names; nothing if there are none."""
    if not entries:
        return ""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in entries.items())
    return f'<h2>Facts</h2>\n<dl class="card facts">\n{lines}</dl>\n'


def reading(meanings: Iterable[tuple[str, str]]) -> str:
    """Write what the words of a page mean, folded away."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>\n" for name, meaning in meanings)
    return f'<details>\n<summary>How to read this page</summary>\n<dl class="facts">\n{lines}</dl>\n</details>\n'


def write_aside(path: Path, text: str) -> None:
    """Write text to a file: aside first, then renamed.

    Raises
    ------
    RecollectError
        When writing fails in a way that `recollect.errors.translate` knows (no folder, no space, no rights).
    """
    try:
        _replace(path, text)
    except OSError as error:
        raise translate(error) or error from error


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.aside")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
