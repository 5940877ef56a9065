"""The page in a real browser: three likes, a new person, keyboard only, a phone, dark, no script, hostile titles.

The browser is RECOLLECT_BROWSER, else Chromium of the system. Without one these tests skip; with
RECOLLECT_REQUIRE_BROWSER=1 they fail. Screenshots are left in `test-results/page`.
"""

import os
import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from serving import Served
from small_service import small_service

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "page"
PATIENCE = 60_000  # milliseconds; machines may be busy, and nothing here is timed
Open = Callable[..., Page]


def program() -> str:
    """Find a browser."""
    named = [os.environ.get("RECOLLECT_BROWSER"), "/usr/bin/chromium", "chromium-browser", "google-chrome"]
    found = next((where for name in named if name and (where := shutil.which(name))), None)
    if found:
        return found
    if os.environ.get("RECOLLECT_REQUIRE_BROWSER") == "1":
        pytest.fail("RECOLLECT_REQUIRE_BROWSER=1, but there is no browser")
    pytest.skip("NO BROWSER, THE PAGE IS NOT TESTED IN ONE: apt-get install chromium, or set RECOLLECT_BROWSER")


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    where = program()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with small_service(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, served: Served) -> Generator[Open]:
    """Open pages in fresh contexts; afterwards nothing may have gone wrong in any, or have come from elsewhere."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def note(page: Page) -> None:
        page.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda asked: None if asked.url.startswith(served.url) else wrong.append(asked.url))

    def start(path: str = "/", **choices: Any) -> Page:
        choices.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(base_url=served.url, **choices)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        note(page)
        page.goto(path)
        return page

    expect.set_options(timeout=PATIENCE)
    yield start
    for context in contexts:
        context.close()
    assert wrong == []


def shoot(page: Page, name: str) -> None:
    page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => null)")
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def items(page: Page) -> list[str | None]:
    return [row.get_attribute("data-item") for row in page.locator(".row").all()]


def press(page: Page, name: str, *, nth: int = 0) -> str:
    """Press the nth button of that name in the list, wait for the next list, and return the item."""
    button = page.locator(f".row button[name={name}]").nth(nth)
    item = button.get_attribute("value") or ""
    token = page.locator("[name=token]").get_attribute("value") or ""
    button.click()
    expect(page.locator("[name=token]")).not_to_have_value(token)
    return item


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_three_likes_change_the_list_and_say_why(visit, scheme):
    page = visit(color_scheme=scheme)
    shoot(page, f"start-{scheme}")
    page.locator(".person").nth(1 if scheme == "light" else 2).click()
    for _ in range(3):
        before = items(page)
        liked = press(page, "like", nth=1)
        assert liked not in items(page)
        assert items(page) != before
        expect(page.get_by_role("status")).to_contain_text("You liked")
        expect(page.get_by_role("status")).to_contain_text("places changed")
    assert page.locator(".tag").count() == 3
    assert page.locator(".move").count() == page.locator(".row").count() == 10
    assert page.locator(".why li").count() >= 10
    expect(page.locator("#list")).to_contain_text("The model was not touched: both lists")
    expect(page.locator(".figures")).to_contain_text(re.compile(r"\d ms for the list"))
    shoot(page, f"person-{scheme}")
    page.reload()  # repeats nothing
    assert page.locator(".tag").count() == 3


def test_a_new_person_searches_and_likes(visit):
    page = visit()
    page.get_by_role("button", name="Be a new person").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    page.get_by_label("Words of a title").press_sequentially("horror 20")
    hit = page.get_by_role("button", name="Like Horror of the 20th night (1990)", exact=True)
    expect(page.get_by_role("status")).to_have_text("1 title found.")
    hit.click()
    expect(hit).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#past")).to_contain_text("Horror of the 20th night")
    expect(page.get_by_label("Words of a title")).to_have_value("horror 20")
    press(page, "dislike")
    expect(page.get_by_role("status")).to_contain_text("You disliked")
    shoot(page, "new-person")


def focused(page: Page) -> str:
    return page.evaluate("(document.activeElement.innerText || document.activeElement.id).trim()")


def tab_to(page: Page, wanted: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted in focused(page):
            return
    raise AssertionError(wanted)


def test_the_keyboard_is_enough(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    tab_to(page, "Be a new person")
    page.keyboard.press("Enter")
    page.wait_for_url("**/person?**")
    for count in (1, 2):
        tab_to(page, "Like") if count == 1 else None
        page.keyboard.press("Enter")
        expect(page.locator(".tag")).to_have_count(count)
        expect(page.locator(".row button:focus")).to_have_attribute("data-key", "row-like-1")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab_to(page, "find")
    page.keyboard.type("comedy")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("titles found")
    tab_to(page, "Search")
    tab_to(page, "Like")
    page.keyboard.press("Space")
    expect(page.locator(".tag")).to_have_count(3)
    expect(page.locator(".hits button:focus")).to_have_attribute("aria-pressed", "true")


def test_a_narrow_phone_shows_everything(visit):
    page = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, device_scale_factor=2)
    shoot(page, "start-phone")
    for path in ("/", "/person?user=u5", f"/person?user={'long' * 60}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        small = [one.inner_text() for one in page.get_by_role("button").all() if one.bounding_box()["height"] < 44]
        assert small == []
    page.goto("/person?user=u5")
    page.locator(".row .like").first.tap()
    expect(page.locator(".tag")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shoot(page, "person-phone")


def test_all_of_it_works_without_a_script(visit):
    page = visit("/person?user=noscript", java_script_enabled=False)
    before = items(page)
    page.locator(".row .like").nth(2).click()
    page.wait_for_url("**event=**")
    assert before[2] not in items(page)
    page.get_by_label("Words of a title").fill("comedy 13")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Dislike Comedy of the 13th night (1983)").last.click()
    expect(page.get_by_role("status")).to_contain_text("You disliked Comedy of the 13th night (1983).")
    assert page.locator(".past li").count() == 2


def test_hostile_titles_and_names_are_only_text(visit):
    where = "/person?user=%3Cimg src=x onerror=alert(1)%3E"
    page = visit(where)
    for code, word in enumerate(("script", "img", "7", "drop", "ignore", "")):
        page.goto(f"{where}&find={word}")
        page.locator(f".hits button[name=like][value=i{code}], .row button[name=like][value=i{code}]").first.click()
        expect(page.locator(".tag")).to_have_count(code + 1)
    assert page.title() == "<img src=x onerror=alert(1)> · recollect"
    assert page.locator("main img, main script").count() == 0
    assert "<script>document.title='broken'</script>" in page.locator("#past").inner_text()
    shoot(page, "hostile")


def test_when_the_service_is_away_it_says_so_and_nothing_is_lost(browser, served):
    with browser.new_context(base_url=served.url) as context:
        page = context.new_page()
        page.goto("/person?user=away")
        context.route("**/person/event", lambda route: route.abort())
        page.locator(".row .like").first.click()
        expect(page.get_by_role("status")).to_contain_text("The service did not answer.")
        context.unroute("**/person/event")
        page.locator(".row .like").first.click()
        expect(page.locator(".tag")).to_have_count(1)


PAIRS = (
    "ink page", "ink card", "muted page", "muted card", "muted soft", "accent page", "accent card", "on-accent accent",
    "warm card", "up card", "down card",
)  # fmt: skip


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(visit, scheme):
    page = visit(color_scheme=scheme)
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()"
    for pair in PAIRS:
        front, back = (luminance(page.evaluate(read, name)) for name in pair.split())
        assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 4.5, pair
