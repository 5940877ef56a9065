import re
from html.parser import HTMLParser

import pytest

from recollect.evaluation.report import Report, Section, render, write_report
from recollect.evaluation.summary import Occasion, Timed, summarise

HOSTILE = '"><script>alert(1)</script>&<b>$x^2$'
OPEN = {"meta", "br", "img"}


class Balance(HTMLParser):
    """Keep the elements that a page holds, and those left open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in OPEN:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(random_scored):
    run, floor, bare = (Timed(random_scored(800, users=40, skill=skill), 1.5) for skill in (2.0, 1.0, 0.0))
    evaluation = summarise(
        Occasion(HOSTILE, HOSTILE, "valid"),
        run,
        floors={"item mean": floor, HOSTILE: floor},
        without_events=bare,
        draws=20,
    )
    return Report(
        HOSTILE,
        evaluation,
        run.predictions,
        recipe=HOSTILE,
        facts={HOSTILE: HOSTILE},
        sections=[Section(HOSTILE, [[HOSTILE, "2"]], header=[HOSTILE, "rank"], note=HOSTILE)],
        losses={"train": [(0.0, 0.7), (1.0, 0.6)]},
    )


@pytest.fixture(scope="module")
def page(report):
    return render(report)


def test_the_page_is_well_formed_and_escapes_everything(page):
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "script" not in balance.seen
    assert "<b>$" not in page
    assert page.count("&lt;script&gt;") >= 9  # head, table, plots, section, facts, recipe


def test_the_page_needs_nothing_else(page):
    assert "http" not in page
    balance = Balance()
    balance.feed(page)
    assert all(value.startswith("#") for name, value in balance.attributes if name in {"href", "src"})
    assert not {"link", "script", "img", "iframe"} & set(balance.seen)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page)
    assert len(page) < 1_000_000


def test_every_plot_says_what_it_shows(page):
    drawings = re.findall(r"<svg[^>]*>", page)
    assert len(drawings) == 7
    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert "#0101" not in page  # every colour has its name


def test_no_two_elements_share_an_id(page):
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:href="|url\()#(\w+)', page)) <= set(names)


def test_the_same_report_gives_the_same_bytes(report, page, tmp_path):
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_report_of_undefined_metrics_is_still_a_page(scored):
    run = Timed(scored([1], [True], [0.5]), 0.0)
    evaluation = summarise(Occasion("run", "time", "test"), run, floors={"item mean": run}, draws=5)
    page = render(Report("one row", evaluation, run.predictions))
    assert "–" in page
    assert page.count("<svg") == 2  # calibration and score distribution
