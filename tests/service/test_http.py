"""The HTTP API over a real server and a real small model: what every answer has, and what the verbs do."""

import io
import json
import logging

import httpx2
import pytest
from small_service import small_service
from sqlalchemy import text

from recollect.service.logs import LOGGER


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with small_service(tmp_path_factory.mktemp("http"), rate=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def http(served):
    with httpx2.Client(base_url=served.url, timeout=30) as client:
        yield client


def event(identity, *, user="somebody", item="i7", value=5.0, **more):
    return {"id": identity, "user": user, "item": item, "value": value, **more}


def test_an_event_goes_in_and_the_next_answer_knows_it(http):
    before = http.post("/v1/recommend", json={"user": "somebody", "limit": 30}).json()
    assert before["ranker"] == "model"
    assert before["fallback"] is None
    assert set(before["items"][0]) == {"item", "title", "score", "rank"}
    accepted = http.post("/v1/events", json={"events": [event("e1")]}).json()
    assert (accepted["accepted"], accepted["duplicates"], accepted["last_seq"]) == (1, [], 1)
    after = http.post("/v1/recommend", json={"user": "somebody", "limit": 30}).json()
    assert after["known"] == before["known"] + 1
    assert "i7" not in [one["item"] for one in after["items"]]


def test_the_same_event_again_is_a_duplicate_and_another_of_its_id_is_refused(http):
    first = event("e2", user="twice")
    for accepted, duplicates in ((1, []), (0, ["e2"])):
        answer = http.post("/v1/events", json={"events": [first]}).json()
        assert (answer["accepted"], answer["duplicates"]) == (accepted, duplicates)
    assert http.post("/v1/events", json={"events": [event("e2", user="other")]}).status_code == 409


def test_every_answer_has_its_request_id_and_an_explanation_finds_it(http):
    answer = http.post("/v1/recommend", json={"user": "u3", "limit": 2})
    identity = answer.json()["request_id"]
    assert answer.headers["x-request-id"] == identity
    explained = http.get(f"/v1/explain/{identity}").json()
    assert explained["explained"] == identity
    assert [one["item"] for one in explained["items"]] == [one["item"] for one in answer.json()["items"]]
    assert all(one["reasons"] for one in explained["items"])


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("PUT", "/v1/events", {}, 405, "method_not_allowed"),
        ("GET", "/v1/explain/nothing", {}, 404, "unknown_request"),
        ("GET", "/v1/users/nobody/history", {}, 404, "unknown_user"),
        ("GET", "/v1/users/u1/history?after=nonsense", {}, 422, "misfit"),
        ("POST", "/v1/rank", {"json": {"user": "u1", "candidates": ["no such item"]}}, 404, "unknown_item"),
        ("POST", "/v1/recommend", {"json": {"user": "u1", "limit": 0}}, 422, "misfit"),
        ("POST", "/v1/recommend", {"json": {"user": "u1", "history": []}}, 422, "misfit"),
        ("POST", "/v1/recommend", {"json": {"user": "u1", "surprise": 1}}, 422, "misfit"),
        ("POST", "/v1/recommend", {"json": {"user": "u1", "limit": "3"}}, 422, "misfit"),
        ("POST", "/v1/recommend", {"json": {"user": "a\nb"}}, 422, "misfit"),
        ("POST", "/v1/recommend", {"content": b'{"user": "a"}'}, 415, "not_json"),
        ("POST", "/v1/models/activate", {"json": {"run": "../elsewhere"}}, 404, "run_not_found"),
        ("POST", "/v1/models/activate", {"json": {"run": "x" * 255}}, 404, "run_not_found"),
    ],
)
def test_every_error_says_what_got_expected_and_do(http, method, path, more, status, code):
    answer = http.request(method, path, **more)
    assert answer.status_code == status
    problem = answer.json()
    assert problem["error"]["code"] == code
    assert all(problem["error"][part] for part in ("what", "got", "expected", "do"))
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'{"user": "\\ud800"}', 422),
        (b'{"user": "u1", "diversity": NaN}', 422),
        (b'{"user": "u1", "diversity": 1e999}', 422),
        (b'{"user": "u1", "limit": ' + b"1" * 6_000 + b"}", 400),
    ],
)
def test_bodies_that_are_no_json_or_hide_something_are_refused(http, body, status):
    answer = http.post("/v1/recommend", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["do"]


def test_a_slash_in_an_id_is_part_of_it_only_if_it_is_encoded(http):
    http.post("/v1/events", json={"events": [event("e3", user="a/history"), event("e4", user="a")]})
    assert http.get("/v1/users/a%2Fhistory/history").json()["user"] == "a/history"
    assert http.delete("/v1/users/a/history").status_code == 405
    assert http.get("/v1/users/a%2Fhistory").status_code == 405
    assert http.delete("/v1/users/a%2Fhistory").json()["events"] == 1
    assert http.get("/v1/users/a/history").json()["events"][0]["id"] == "e4"


def test_a_history_comes_in_pages_the_live_events_first(http):
    http.post("/v1/events", json={"events": [event(f"p{n}", user="u5", item=f"i{n}") for n in range(3)]})
    events, after = [], ""
    while after is not None:
        page = http.get("/v1/users/u5/history", params={"limit": 2} | ({"after": after} if after else {})).json()
        events, after = events + page["events"], page["next"]
    live = [one["id"] for one in events if one["id"]]
    assert live == ["p2", "p1", "p0"]
    assert [one["id"] for one in events[:3]] == live
    times = [one["time"] for one in events[3:]]
    assert times == sorted(times, reverse=True)
    assert len(times) > 5


def test_an_erased_person_is_nobody_again(http):
    http.post("/v1/events", json={"events": [event("g1", user="u6"), event("g2", user="u6", item="i8")]})
    http.post("/v1/recommend", json={"user": "u6"})
    erased = http.delete("/v1/users/u6").json()
    assert (erased["events"], erased["requests"]) == (2, 1)
    assert erased["imported"] > 0
    assert http.post("/v1/recommend", json={"user": "u6"}).json()["known"] == 0
    assert http.get("/v1/users/u6/history").status_code == 404


def test_new_items_and_users_work_at_once(http):
    item = {"id": "new", "title": "A new one", "genres": ["Drama"], "year": 2024, "attributes": {"length": 90}}
    assert http.post("/v1/items", json={"items": [item]}).json()["added"] == 1
    assert http.post("/v1/items", json={"items": [item]}).json()["duplicates"] == ["new"]
    assert http.post("/v1/users", json={"users": [{"id": "fresh", "profile": {"age": "21"}}]}).json()["added"] == 1
    asked = {"user": "fresh", "limit": 5, "filter": {"genres": ["drama", "none"], "length": 90}}
    assert [one["item"] for one in http.post("/v1/recommend", json=asked).json()["items"]] == ["new"]


def test_an_anonymous_history_leaves_nothing_behind(http):
    asked = {"history": [{"item": "i7", "value": 5}, {"item": "i8", "value": 1}], "limit": 3}
    answer = http.post("/v1/recommend", json=asked).json()
    assert answer["known"] == 2
    assert not {"i7", "i8"} & {one["item"] for one in answer["items"]}


def test_rerank_speaks_the_shape_of_rerankers(http):
    documents = ["i9", {"id": "i10"}, {"text": "Drama of the 12th night (1982)"}, "i9"]
    asked = {"query": "u1", "documents": documents, "top_n": 3, "return_documents": True}
    answer = http.post("/v1/rerank", json=asked).json()
    scores = [one["relevance_score"] for one in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3
    by_index = {one["index"]: one["document"]["id"] for one in answer["results"]}
    assert by_index.items() <= {0: "i9", 1: "i10", 2: "i12", 3: "i9"}.items()
    ranked = http.post("/v1/rank", json={"user": "u1", "candidates": ["i9", "i10", "i12"]}).json()["items"]
    assert scores[0] == pytest.approx(ranked[0]["score"], abs=1e-5)


def test_rerank_takes_what_clients_of_rerankers_send(http):
    title = "A long title: " + "word " * 100
    assert http.post("/v1/items", json={"items": [{"id": "long", "title": title}]}).json()["added"] == 1
    more = {"max_tokens_per_doc": 4096, "truncation": True, "documents": [title, {"id": "i9", "metadata": {"k": 1}}]}
    answer = http.post("/v1/rerank", json={"query": "u1", **more})
    assert sorted(one["index"] for one in answer.json()["results"]) == [0, 1]
    assert http.post("/v1/rerank", json={"query": "u1", "documents": ["x" * 1_001]}).status_code == 422


def test_figures_have_few_labels(http, served):
    http.get("/v1/users/u1/history")
    page = http.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/users/{user}/history"' in page.text
    assert "somebody" not in page.text
    assert "recollect_seq " in page.text
    assert 'recollect_arm_share{arm="run"} 1.0' in page.text
    http.post("/v1/recommend", json={"user": "u1"})
    served.service.store.flush()
    assert 'recollect_outcomes_total{arm="run",kind="answers"} ' in http.get("/metrics").text


def test_a_store_that_fails_says_why_in_the_log_and_names_nobody(tmp_path):
    secret, engine = "secret.person@example.org", {"history_bytes": 0}
    with small_service(tmp_path, engine=engine) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        http.post("/v1/events", json={"events": [event(f"s{n}", user=secret, item=f"i{n}") for n in range(2)]})
        store, lines = served.service.store, io.StringIO()
        logger = logging.getLogger(LOGGER)
        logger.setLevel("INFO")
        (handler,) = (one for one in logger.handlers if isinstance(one, logging.StreamHandler))
        handler.setStream(lines)
        store.write(lambda connection: connection.execute(text("ALTER TABLE events RENAME TO gone")) and None)
        assert http.post("/v1/recommend", json={"user": secret}).status_code == 503
        assert http.post("/v1/events", json={"events": [event("s9", user=secret)]}).status_code == 503
        store.write(lambda connection: connection.execute(text("ALTER TABLE gone RENAME TO events")) and None)
    said = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "cannot answer"]
    assert [line["what"] for line in said] == ["the database failed"] * 2
    assert all("no such table" in line["got"] and line["request_id"] for line in said)
    assert secret not in lines.getvalue()


def test_the_schema_is_openapi_31(http):
    schema = http.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    assert {} in schema["paths"]["/v1/recommend"]["post"]["security"]
    operations = [one for path in schema["paths"].values() for one in path.values()]
    assert all("X-Request-Id" in said["headers"] for one in operations for said in one["responses"].values())
    assert json.dumps(schema)
