"""The Python client against a real server: the same verbs, errors in our words, and patience with a busy service."""

import shutil

import pytest
from small_service import small_service

from recollect.client import Client
from recollect.errors import SystemFailure, UnknownItem, UnknownRequest, UnknownUser, UsageError
from recollect.service.server import address, listen


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    with small_service(folder, rate=0.0, runs=folder) as running:
        yield running


@pytest.fixture
def client(served):
    with Client(served.url) as one:
        yield one


def test_what_a_program_does(client):
    assert client.ready()
    assert client.add_event("ann", "i7", value=5.0).accepted == 1
    assert client.add_items([{"id": "n1", "title": "A film"}]).added == 1
    assert client.add_users([{"id": "ben", "profile": {"age": "23"}}]).added == 1
    answer = client.recommend("ann", limit=3, exclude=["i8"])
    assert [one.rank for one in answer.items] == [1, 2, 3]
    explained = client.explain(answer.request_id)
    assert [one.item for one in explained.items] == [one.item for one in answer.items]
    assert explained.items[0].reasons[0].item == "i7"
    assert {one.item for one in client.rank(["i9", "n1"], user="ann").items} == {"i9", "n1"}
    assert client.rerank("ann", ["i9", {"text": "a FILM"}], top_n=1).results[0].index in {0, 1}
    assert [one.item for one in client.history("ann").events] == ["i7"]
    assert client.erase("ann").events == 1
    assert client.status().items == 31


def test_an_anonymous_history_is_a_list_of_pairs(client):
    answer = client.recommend(history=[("i7", 5.0), ("i8", 1.0)], limit=2)
    assert (answer.known, len(answer.items)) == (2, 2)
    assert client.rerank([("i7", 5.0)], ["i9"]).results[0].index == 0


def test_another_model_may_answer(client, served):
    run = served.service.settings.runs / "run"
    assert [arm.share for arm in client.activate(str(run)).arms] == [1.0]


@pytest.mark.parametrize("user", ["a/b", ".", "..", "ü?#%", "a b", "history", "\u202e"])
def test_any_id_goes_through_a_path(client, user):
    client.add_event(user, "i7", value=5.0, event_id=f"of {user}")
    assert [one.id for one in client.history(user).events] == [f"of {user}"]
    assert client.erase(user).events == 1


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda client: client.history("nobody"), UnknownUser),
        (lambda client: client.rank(["no item"], user="u1"), UnknownItem),
        (lambda client: client.explain("no request"), UnknownRequest),
        (lambda client: client.recommend("u1", limit=0), UsageError),
        (lambda client: client.recommend(), UsageError),
    ],
)
def test_errors_are_those_of_the_service(client, ask, error):
    with pytest.raises(error, match=r"request [0-9a-f]{32}"):
        ask(client)


def test_nobody_there_is_told_as_such():
    with listen("127.0.0.1", 0) as taken:
        url = address(taken)
    client = Client(url, retries=0)
    assert not client.ready()
    with pytest.raises(SystemFailure, match=r"cannot be reached.*recollect serve"):
        client.recommend("u1")
    client.close()


def test_a_stranger_is_told_as_such(served):
    with Client(f"{served.url}/nowhere") as client, pytest.raises(UsageError, match="no such path"):
        client.status()


def test_a_busy_service_is_asked_again(served, tmp_path):
    shutil.copytree(served.service.settings.runs / "run", tmp_path / "run")
    with small_service(tmp_path, rate=2.0, burst=1) as served, Client(served.url) as client:
        answers = [client.status() for _ in range(3)]
        assert len({answer.request_id for answer in answers}) == 3
