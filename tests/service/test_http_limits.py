"""Keys, rates, sizes, deadlines, and how a service begins and ends: over a real server."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from serving import serving
from small_service import hostile_world, small_service
from sqlalchemy import event
from worlds import small_recipe, untuned

from recollect.errors import RunNotFound, SystemFailure
from recollect.service.engine import Engine
from recollect.service.keys import add, revoke
from recollect.service.server import Server, listen
from recollect.service.settings import load_settings
from recollect.service.state import Service
from recollect.service.store import Store

EVENTS = {"events": [{"id": "k1", "user": "u1", "item": "i7", "value": 5.0}]}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder whose run is made once."""
    folder = tmp_path_factory.mktemp("limits")
    untuned(hostile_world(), small_recipe()).save(folder / "run")
    return folder


@pytest.fixture
def folder(home, tmp_path):
    """A folder with the same run, and an empty store."""
    shutil.copytree(home / "run", tmp_path / "run")
    return tmp_path


@pytest.fixture(scope="module")
def served(home):
    with small_service(home, require_key=True, body_limit=2_000, rate=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def keys(served):
    return {scope: add(served.service.store, scope, scopes=[scope], now=1) for scope in ("read", "write", "admin")}


@pytest.fixture
def http(served):
    with httpx2.Client(base_url=served.url, timeout=30) as client:
        yield client


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"recommend"}), ("write", {"events"}), ("admin", {"recommend", "events", "erase"})],
)
def test_a_key_allows_what_its_scope_says(http, keys, scope, allowed):
    asked = {
        "recommend": ("POST", "/v1/recommend", {"json": {"user": "u1"}}),
        "events": ("POST", "/v1/events", {"json": EVENTS}),
        "erase": ("DELETE", "/v1/users/nobody", {}),
    }
    headers = bearer(keys[scope].secret)
    for name, (method, path, more) in asked.items():
        answer = http.request(method, path, headers=headers, **more)
        assert answer.status_code == (200 if name in allowed else 403), name


def test_without_a_key_or_with_a_bad_one_nothing_but_health_is_told(http, served):
    revoked = add(served.service.store, "old", scopes=["read"], now=1)
    revoke(served.service.store, revoked.key.id, now=2)
    for headers in ({}, bearer("rc_nonsense"), bearer(revoked.secret), {"Authorization": "Basic x"}):
        answer = http.get("/v1/status", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert http.get("/healthz", headers=headers).status_code == 200


def test_a_large_body_is_refused_whether_its_length_is_told_or_not(http, keys):
    headers = bearer(keys["write"].secret) | {"Content-Type": "application/json"}
    told = http.post("/v1/events", content=b"x" * 5_000, headers=headers)
    untold = http.post("/v1/events", content=(b"x" * 1_000 for _ in range(5)), headers=headers)
    for answer in (told, untold):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_body_is_not_read_before_its_sender_is_admitted(http):
    assert http.post("/v1/events", content=b"no json", headers={"Content-Type": "application/json"}).status_code == 401


def test_who_asks_too_often_is_told_when_to_come_again(folder):
    with small_service(folder, rate=0.01, burst=2) as served, httpx2.Client(base_url=served.url) as http:
        answers = [http.get("/v1/status") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 100
        assert http.get("/healthz").status_code == 200


def test_keys_that_are_not_valid_run_out_before_the_store_is_asked(folder):
    with small_service(folder, rate=0.01, burst=2) as served, httpx2.Client(base_url=served.url) as http:
        good, bad = add(served.service.store, "good", scopes=["read"], now=1).secret, "rc_" + "x" * 43
        asked = []
        event.listen(served.service.store.database.engine, "after_cursor_execute", lambda *more: asked.append(more[2]))
        answers = [http.get("/v1/status", headers=bearer(bad)).status_code for _ in range(6)]
        assert answers == [401, 401, 429, 429, 429, 429]
        assert sum("keys" in statement for statement in asked) == 2
        assert http.get("/v1/status").status_code == 200
        assert http.get("/v1/status", headers=bearer(good)).status_code == 429


def test_a_name_that_is_not_local_needs_a_key(folder):
    with small_service(folder) as served, httpx2.Client(base_url=served.url) as http:
        assert http.get("/v1/status").status_code == 200
        assert http.get("/v1/status", headers={"Host": "elsewhere.example"}).status_code == 401
        for address in ("203.0.113.9", "local", "localhost", "nonsense"):
            assert http.get("/v1/status", headers={"X-Forwarded-For": address}).status_code == 401


def test_a_short_deadline_is_answered_by_the_light_ranker(http, keys):
    asked = {"user": "u1", "limit": 3, "deadline_ms": 0.001}
    answer = http.post("/v1/recommend", json=asked, headers=bearer(keys["read"].secret)).json()
    assert (answer["ranker"], answer["fallback"]) == ("light", "deadline")
    assert len(answer["items"]) == 3


def test_more_work_than_slots_is_refused_and_never_kept_waiting(folder):
    with small_service(folder, rate=0.0, slots=1) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        with ThreadPoolExecutor(8) as many:
            answers = list(many.map(lambda n: http.post("/v1/recommend", json={"user": f"u{n}"}), range(200)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 0 < len(refused) < len(answers)
        assert all(answer.headers["retry-after"] for answer in refused)
        assert {answer.status_code for answer in answers if answer not in refused} == {200}
        assert http.post("/v1/recommend", json={"user": "u1"}).status_code == 200


def test_explanations_keep_nobody_from_an_answer(folder):
    with small_service(folder, rate=0.0, slots=2) as served, httpx2.Client(base_url=served.url, timeout=60) as http:
        identity = http.post("/v1/recommend", json={"user": "u1"}).json()["request_id"]
        with ThreadPoolExecutor(8) as many:
            with served.service.engine._explaining:
                asked = [many.submit(http.get, f"/v1/explain/{identity}") for _ in range(6)]
                while sum(one.done() for one in asked) < 4:
                    time.sleep(0.01)
                assert http.post("/v1/recommend", json={"user": "u1"}).status_code == 200
                page = http.get("/person", params={"user": "u1"})
                assert page.status_code == 200
                assert "Recommended now" in page.text
                assert "Because of" not in page.text
            assert sorted(one.result().status_code for one in asked) == [200, 200, 429, 429, 429, 429]
        assert "Because of" in http.get("/person", params={"user": "u1"}).text


def test_a_stop_lets_running_requests_end_and_what_was_acknowledged_is_kept(folder):
    acknowledged = []

    def send(url):
        with httpx2.Client(base_url=url, timeout=30) as http:
            for number in range(1_000):
                event = {"id": f"s{number}", "user": "u1", "item": "i7", "value": 5.0}
                try:
                    answer = http.post("/v1/events", json={"events": [event]})
                except httpx2.TransportError:
                    return
                assert answer.status_code == 200
                acknowledged.append(event["id"])

    with small_service(folder, rate=0.0) as served:
        sender = threading.Thread(target=send, args=[served.url])
        sender.start()
        while len(acknowledged) < 20:
            time.sleep(0.01)
        served.stop()
        sender.join()
    with Store.open(f"sqlite:///{folder / 'store.db'}") as store:
        kept = {event.id for event in store.events_after(0)}
    assert kept >= set(acknowledged)
    assert len(kept) <= len(acknowledged) + 1


def test_it_is_unready_while_it_starts_and_while_it_stops(folder):
    with small_service(folder) as served, httpx2.Client(base_url=served.url) as http:
        assert http.get("/readyz").json()["state"] == "ready"
        served.service.stopping = True
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["state"]) == (503, "stopping")
    world, settings = served.service.dataset, served.service.settings
    let_go = threading.Event()
    with Store.open(settings.store) as store:

        def start():
            let_go.wait()
            return Engine.start(folder / "run", world, store, settings=settings.engine)

        slow_service = Service(start, store=store, dataset=world, settings=settings)
        with serving(slow_service, wait=False) as slow, httpx2.Client(base_url=slow.url) as http:
            while not slow.server.started:
                time.sleep(0.01)
            assert http.get("/healthz").status_code == 200
            assert http.get("/readyz").json()["state"] == "starting"
            answer = http.post("/v1/recommend", json={"user": "u1"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
            let_go.set()
            while http.get("/readyz").status_code == 503:
                time.sleep(0.01)
            assert http.post("/v1/recommend", json={"user": "u1"}).status_code == 200


def test_an_address_that_is_taken_is_told_as_such():
    with listen("127.0.0.1", 0) as taken, pytest.raises(SystemFailure, match=r"cannot be had.*--port"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("error", [SystemFailure("x", got="x", expected="y", do="z"), RuntimeError("a foreign one")])
def test_an_engine_that_fails_to_start_is_not_starting_for_ever(folder, error):
    def start():
        raise error

    with Store.open(f"sqlite:///{folder / 'other.db'}") as store:
        service = Service(start, store=store, dataset=hostile_world(), settings=load_settings(log_level="error"))
        assert service.phase == "starting"
        Server(service).run(sockets=[listen("127.0.0.1", 0)])
        assert service.failure is error
        service.stopping = False
        assert service.phase == "failed"


def test_an_engine_that_cannot_start_ends_the_server(folder):
    with small_service(folder) as served:
        world = served.service.dataset
    store = Store.open(f"sqlite:///{folder / 'other.db'}")
    settings = load_settings(log_level="error")
    service = Service(
        lambda: Engine.start(folder / "no-run", world, store), store=store, dataset=world, settings=settings
    )
    Server(service).run(sockets=[listen("127.0.0.1", 0)])
    assert isinstance(service.failure, RunNotFound)
