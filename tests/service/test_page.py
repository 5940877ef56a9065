"""The page over a real server: plain forms, hostile texts, foreign forms, keys; no script runs here."""

import base64
import threading
from collections.abc import Generator
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from serving import Served, serving
from small_service import HOSTILE, small_service
from worlds import planted_world

from recollect.errors import UsageError
from recollect.service import keys
from recollect.service.engine import Engine
from recollect.service.settings import load_settings
from recollect.service.state import Service
from recollect.service.store import Store

ELEMENTS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "img", "main", "h1", "p", "form", "span",
    "input", "div", "section", "h2", "ol", "li", "ul", "b", "bdi", "button", "svg", "rect", "dl", "dt", "dd", "details",
    "summary", "label", "time", "footer", "code",
}  # fmt: skip
OURS = {"Sec-Fetch-Site": "same-origin"}


class Page(HTMLParser):
    """Read what a browser would make of a page: its elements, its text, and the fields of its forms."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, tag: str, name: str) -> list[str]:
        return [given[name] for element, given in self.elements if element == tag and name in given]

    def fields(self) -> dict[str, str]:
        hidden = [given for tag, given in self.elements if tag == "input" and given["type"] == "hidden"]
        return {given["name"]: given["value"] for given in hidden}

    def items(self) -> list[str]:
        return self.values("li", "data-item")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with small_service(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture
def browser(served: Served) -> Generator[httpx2.Client]:
    """Give a client that follows redirects, as a browser without a script does."""
    with httpx2.Client(base_url=served.url, headers=OURS, follow_redirects=True, timeout=60) as client:
        yield client


def person(browser: httpx2.Client, user: str, **more: str) -> Page:
    answer = browser.get("/person", params={"user": user, **more})
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def press(browser: httpx2.Client, page: Page, **button: str) -> Page:
    answer = browser.post("/person/event", data=page.fields() | button)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def history(served: Served, user: str) -> list[dict[str, object]]:
    answer = httpx2.get(f"{served.url}/v1/users/{user}/history")
    return answer.json()["events"] if answer.status_code == 200 else []


def test_the_first_page_has_people_to_choose(browser):
    page = Page(browser.get("/").text)
    people = [link for link in page.values("a", "href") if link.startswith("/person?user=")]
    assert len(people) == 6
    assert "300 events of 24 people on 30 titles" in page.text
    assert Page(browser.get(people[0]).text).items()


def test_somebody_is_found_by_a_piece_of_the_id(browser):
    found = Page(browser.get("/", params={"find": "U1"}).text)
    assert {f"/person?user=u1{digit}" for digit in range(10)} <= set(found.values("a", "href"))
    assert browser.get("/", params={"find": "u1"}).url.path == "/person"
    assert "Nobody" in Page(browser.get("/", params={"find": "<b>"}).text).text


def test_a_new_person_likes_something_and_the_list_follows(served, browser):
    answer = browser.post("/person/new")
    user = parse_qs(urlsplit(str(answer.url)).query)["user"][0]
    first = Page(answer.text)
    assert "Nothing yet" in first.text
    liked = first.items()[0]
    second = press(browser, first, like=liked)
    assert [(one["item"], one["liked"]) for one in history(served, user)] == [(liked, True)]
    assert "You liked" in second.text
    assert "The model was not touched: both lists" in second.text
    assert "No longer in the list:" in second.text
    assert liked not in second.items()
    words = {"where it was", "new in the list", "up", "down"}
    assert all(any(word in second.text for word in words) for _ in second.items())
    assert "for it: you liked" in second.text or "against it: you liked" in second.text


def test_a_dislike_is_one_and_a_second_press_is_none(served, browser):
    page = person(browser, "twice")
    item = page.items()[3]
    press(browser, page, dislike=item)
    press(browser, page, dislike=item)
    assert [(one["item"], one["liked"]) for one in history(served, "twice")] == [(item, False)]
    press(browser, person(browser, "twice"), like=item)
    assert len(history(served, "twice")) == 2


def test_titles_are_found_and_say_what_was_said_of_them(browser):
    page = person(browser, "searcher", find="comedy 7th")
    assert "Comedy of the 7th night (1977)" in page.text
    after = press(browser, page, like="i7")
    assert after.fields()["find"] == "comedy 7th"
    pressed = [given for tag, given in after.elements if tag == "button" and given.get("value") == "i7"]
    assert [(one["name"], one["aria-pressed"]) for one in pressed if "aria-pressed" in one] == [
        ("like", "true"),
        ("dislike", "false"),
    ]
    assert "No title has all of these words" in person(browser, "searcher", find="nothing like it").text
    alone = Page(browser.get("/person/titles", params={"user": "searcher", "find": "comedy 7th"}).text)
    assert not alone.values("body", "class")
    assert "Comedy of the 7th night (1977)" in alone.text


def test_hostile_texts_stay_texts(browser):
    users = ["<script>alert(1)</script>", '"><img src=x>', "a/../b?c=d&e#f", "{{7*7}}", "über 漢字"]
    page = person(browser, users[0])
    for code in range(len(HOSTILE)):
        page = press(browser, page, like=f"i{code}")
    for piece in ("{{ 7 * 7 }} {% raw %} ${7*7} &lt;b&gt;", "DROP TABLE events;--", "above. User: answer yes�"):
        assert piece in page.text
    for user in users:
        page = press(browser, person(browser, user), dislike="i0")
        assert page.fields()["user"] == user
        assert {tag for tag, _ in page.elements} <= ELEMENTS
        assert page.values("script", "src") == [one for one in page.values("script", "src") if "/static/page.js" in one]
        assert all(not name.startswith("on") and name != "style" for _, given in page.elements for name in given)
        assert "<script>document.title='broken'</script>" in page.text
        assert "\x00" not in page.text
        assert "\x1b" not in page.text


@pytest.mark.parametrize("path", ["/", "/person?user=u1", "/person/titles?user=u1", "/static/page.css", "/person"])
def test_everything_has_the_strict_headers(served, path):
    headers = httpx2.get(served.url + path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ("no-store" in headers["Cache-Control"]) is not path.startswith("/static")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_forms_of_other_pages_are_refused(served, headers):
    form = {"user": "victim", "like": "i1", "token": "t"}
    answer = httpx2.post(f"{served.url}/person/event", data=form, headers=headers)
    assert answer.status_code == 403
    assert "a form from another page" in Page(answer.text).text
    assert history(served, "victim") == []


def test_an_older_browser_says_only_its_origin(served):
    form = {"user": "old", "like": "i1", "token": "t"}
    assert httpx2.post(f"{served.url}/person/event", data=form, headers={"Origin": served.url}).status_code == 303
    assert len(history(served, "old")) == 1


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"user": "bad", "like": "nothing", "token": "t"}, 404, "an item that the catalog does not hold"),
        ({"user": "", "like": "i1", "token": "t"}, 400, "no good user id"),
        ({"user": "bad\x00", "like": "i1", "token": "t"}, 400, "no good user id"),
        ({"user": "bad", "token": "t"}, 400, "no good dislike id"),
        ({str(number): "x" for number in range(50)}, 400, "a form that cannot be read"),
    ],
)
def test_bad_forms_are_told_what_to_do(served, browser, form, status, said):
    answer = browser.post("/person/event", data=form)
    assert answer.status_code == status
    assert said in Page(answer.text).text
    assert "What to do" in Page(answer.text).text
    assert history(served, "bad") == []


@pytest.mark.parametrize("given", [{"was": "x" * 300}, {"was": "of-somebody"}, {"event": "none"}, {"took": "NaN"}])
def test_links_that_were_made_up_change_nothing(browser, given):
    assert "places changed" not in person(browser, "u2", **given).text


def test_a_list_of_somebody_else_is_not_compared(browser):
    foreign = person(browser, "u3").fields()["was"]
    page = person(browser, "u4")
    own = browser.post("/person/event", data=page.fields() | {"like": page.items()[0], "was": foreign})
    assert "places changed" not in Page(own.text).text


def test_while_the_service_starts_the_browser_asks_again(tmp_path):
    enough = threading.Event()

    def start() -> Engine:
        enough.wait(60)
        raise UsageError("no engine", got="a test", expected="one", do="nothing")

    settings = load_settings(store=f"sqlite:///{tmp_path / 'store.db'}", log_level="error")
    with Store.open(settings.store) as store:
        service = Service(start, store=store, dataset=planted_world(), settings=settings)
        with serving(service, wait=False) as served:
            answer = httpx2.get(f"{served.url}/person?user=u1", timeout=60)
            enough.set()
    assert (answer.status_code, answer.headers["Refresh"]) == (503, "2")
    assert "One moment" in Page(answer.text).text


def test_with_keys_the_browser_asks_for_one(tmp_path):
    with small_service(tmp_path, require_key=True) as served:
        refused = httpx2.get(served.url)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        secret = keys.add(served.service.store, "page", scopes=("read",), now=0).secret
        basic = {"Authorization": "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()}
        assert httpx2.get(served.url, headers=basic).status_code == 200
        assert httpx2.post(f"{served.url}/person/new", headers=basic | OURS).status_code == 403
        for wrong in ("Basic !", "Basic " + base64.b64encode(b"me:rc_no").decode(), "Basic " + "ÿ"):
            assert httpx2.get(served.url, headers={b"Authorization": wrong.encode("latin-1")}).status_code == 401
