"""The Python client of the HTTP API: the same verbs, the same values, errors in our words.

It decides that what comes back are the values of the schema, that errors of the service arrive as the classes of
`recollect.errors`, and that a request which the service could not take just now (busy, starting, not reachable) is sent
again a few times. That is safe: an event has an id, and the same id again is the same event.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from time import sleep
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from recollect import errors
from recollect.errors import RecollectError, SystemFailure, UsageError
from recollect.service.replies import (
    AddedAnswer,
    ErasedAnswer,
    EventsAnswer,
    ExplainAnswer,
    HistoryAnswer,
    Problem,
    RankingAnswer,
    ReadyAnswer,
    RerankAnswer,
    StatusAnswer,
)

A = TypeVar("A", bound=BaseModel)
Method = Literal["GET", "POST", "DELETE"]
History = Sequence[tuple[str, float]]
"""Items with feedback, oldest first."""

_BUSY: Final = frozenset({429, 503})
_LONGEST_WAIT: Final = 5.0
_REFUSED: Final = range(400, 500)


class Client:
    """Talk to a running service.

    Parameters
    ----------
    base_url : str
        Its address.
    api_key : str, optional
        A key of `recollect keys add`; none is needed on the machine of the service.
    timeout : float
        Seconds until an answer is given up.
    retries : int
        How often a request is sent again that the service could not take just now.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000")
    >>> client.add_event("42", "i7", value=5.0)  # doctest: +SKIP
    >>> client.recommend("42", limit=10).items[0].title  # doctest: +SKIP
    >>> client.close()
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 2,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._http = httpx2.Client(base_url=base_url, headers=headers, timeout=timeout)
        self._retries = retries

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    # --- what happens ---

    def add_event(
        self, user: str, item: str, *, value: float, time: int | None = None, event_id: str | None = None
    ) -> EventsAnswer:
        """Add one event; returns once it is durable.

        Parameters
        ----------
        user, item : str
            Ids.
        value : float
            Feedback in the unit of the log.
        time : int, optional
            Unix seconds; the moment of its arrival by default.
        event_id : str, optional
            Id of the event; a new one by default.

        Raises
        ------
        RecollectError
            As the service says; `SystemFailure` if it cannot be reached.
        """
        event = {"id": event_id or uuid.uuid4().hex, "user": user, "item": item, "value": value, "time": time}
        return self.add_events([event])

    def add_events(self, events: Iterable[Mapping[str, Any]]) -> EventsAnswer:
        """Add events, each with `id`, `user`, `item`, `value` and perhaps `time`; raises as `add_event`."""
        return self._ask("POST", "/v1/events", EventsAnswer, body={"events": [dict(one) for one in events]})

    def add_items(self, items: Iterable[Mapping[str, Any]]) -> AddedAnswer:
        """Add items, each with `id`, `title` and perhaps `genres`, `year`, `attributes`; raises as `add_event`."""
        return self._ask("POST", "/v1/items", AddedAnswer, body={"items": [dict(one) for one in items]})

    def add_users(self, users: Iterable[Mapping[str, Any]]) -> AddedAnswer:
        """Add users, each with `id` and perhaps a `profile`; raises as `add_event`."""
        return self._ask("POST", "/v1/users", AddedAnswer, body={"users": [dict(one) for one in users]})

    def history(self, user: str, *, limit: int = 100, after: str | None = None) -> HistoryAnswer:
        """Return a page of a person's events, the last first; `after` is `next` of the page before."""
        more = {} if after is None else {"after": after}
        return self._ask("GET", f"/v1/users/{_segment(user)}/history", HistoryAnswer, params={"limit": limit, **more})

    def erase(self, user: str) -> ErasedAnswer:
        """Erase a person, and return what was erased; raises as `add_event`."""
        return self._ask("DELETE", f"/v1/users/{_segment(user)}", ErasedAnswer)

    # --- what is asked ---

    def recommend(self, user: str | None = None, *, history: History | None = None, **more: Any) -> RankingAnswer:
        """Recommend items to a user, or for an anonymous history.

        Parameters
        ----------
        user : str, optional
            Id.
        history : sequence of (item, value), optional
            In place of a user, oldest first; nothing of it is kept.
        more
            `limit`, `candidates`, `exclude`, `filter`, `diversity`, `deadline_ms`.

        Raises
        ------
        RecollectError
            As the service says; `SystemFailure` if it cannot be reached.
        """
        return self._ask("POST", "/v1/recommend", RankingAnswer, body=_given(user, history, more))

    def rank(
        self, candidates: Sequence[str], *, user: str | None = None, history: History | None = None, **more: Any
    ) -> RankingAnswer:
        """Score given items for a user or a history: calibrated probabilities, best first."""
        more["candidates"] = list(candidates)
        return self._ask("POST", "/v1/rank", RankingAnswer, body=_given(user, history, more))

    def rerank(
        self,
        query: str | History,
        documents: Sequence[str | Mapping[str, str]],
        *,
        top_n: int | None = None,
        **more: Any,
    ) -> RerankAnswer:
        """Put documents (items, by id or title) in order for a user or a history, as rerankers do."""
        asked = query if isinstance(query, str) else _events(query)
        body = {"query": asked, "documents": list(documents), "top_n": top_n, **more}
        return self._ask("POST", "/v1/rerank", RerankAnswer, body=body)

    def explain(self, request_id: str) -> ExplainAnswer:
        """Say why an answer was what it was; raises as `recommend`, also where the answer is not kept any more."""
        return self._ask("GET", f"/v1/explain/{_segment(request_id)}", ExplainAnswer)

    # --- how it goes ---

    def activate(self, run: str, *, split: float | None = None) -> StatusAnswer:
        """Change the model that answers, or let another one answer a share of users."""
        return self._ask("POST", "/v1/models/activate", StatusAnswer, body={"run": run, "split": split})

    def status(self) -> StatusAnswer:
        """Return figures of the engine."""
        return self._ask("GET", "/v1/status", StatusAnswer)

    def ready(self) -> bool:
        """Return whether requests may be sent, without waiting for it."""
        try:
            answer = self._http.get("/readyz")
            return ReadyAnswer.model_validate_json(answer.content).ready
        except (httpx2.TransportError, ValidationError):
            return False

    def _ask(
        self,
        method: Method,
        path: str,
        kind: type[A],
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> A:
        answer = self._send(method, path, body=body, params=params)
        if answer.is_error:
            raise _error(answer)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise _stranger(answer) from error

    def _send(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None, params: Mapping[str, Any] | None
    ) -> Any:
        """Send, and again while the service is busy or away, but not for ever.

        Raises
        ------
        SystemFailure
            If it stays away.
        """
        for left in range(self._retries, 0, -1):
            try:
                answer = self._http.request(method, path, json=body, params=params)
            except httpx2.TransportError:
                sleep(1 / left)
                continue
            if answer.status_code not in _BUSY:
                return answer
            sleep(_pause(answer))
        try:
            return self._http.request(method, path, json=body, params=params)
        except httpx2.TransportError as error:
            raise SystemFailure(
                "the service cannot be reached",
                got=f"{self._http.base_url}: {error}",
                expected="a running service",
                do="start it with `recollect serve`, or check the address",
            ) from error


def _given(user: str | None, history: History | None, more: Mapping[str, Any]) -> dict[str, Any]:
    whom = {"user": user, "history": None if history is None else _events(history)}
    return {name: value for name, value in {**whom, **more}.items() if value is not None}


def _events(history: History) -> list[dict[str, Any]]:
    return [{"item": item, "value": value} for item, value in history]


def _segment(text: str) -> str:
    """Write an id as one segment of a path; dots too, which would mean a folder."""
    return quote(text, safe="").replace(".", "%2E")


def _pause(answer: httpx2.Response) -> float:
    told = answer.headers.get("retry-after", "1")
    return min(float(told) if told.isdigit() else 1.0, _LONGEST_WAIT)


def _error(answer: httpx2.Response) -> RecollectError:
    """Say an error of the service in our words: by its code, else by its status."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        return _stranger(answer)
    fault = problem.error
    name = "".join(map(str.capitalize, fault.code.split("_")))
    found = getattr(errors, name, None)
    by_status = UsageError if answer.status_code in _REFUSED and answer.status_code not in _BUSY else SystemFailure
    kind = found if isinstance(found, type) and found in errors.MEANINGS else by_status
    return kind(fault.what, got=fault.got, expected=fault.expected, do=f"{fault.do} (request {problem.request_id})")


def _stranger(answer: httpx2.Response) -> SystemFailure:
    return SystemFailure(
        "an answer that is not recollect's",
        got=f"status {answer.status_code}, {answer.text[:80]!r}",
        expected="JSON as /openapi.json says",
        do="check the address, and that client and service are of the same version",
    )
