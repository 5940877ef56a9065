"""Problems: how an error leaves through HTTP.

It decides the one body that every error has, whether it is ours, the framework's or a fault of the program: the four
things that each message of recollect says, a stable code, and the request id. The status is that of `recollect.errors`;
`Refused` carries its own, for what only an HTTP server knows: keys, sizes, rates. A fault of the program says nothing
of its inside; the log does, and there a failure of the machine (503, 507) says its reason too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from recollect.errors import RecollectError, SystemFailure, UsageError, meaning, translate
from recollect.service.logs import write
from recollect.service.replies import Problem

REQUEST_ID: Final = "X-Request-Id"
_RETRY: Final = "Retry-After"
_FAULT: Final = 500
_LATER: Final = frozenset({429, 503})
_OURS: Final = frozenset({503, 507})  # the machine's fault, of which whoever runs it hears
_CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
    422: "misfit",
    429: "too_many_requests",
    500: "fault",
    503: "not_ready",
}
_ADVICE: Final = "see /openapi.json for what fits"


class Refused(UsageError):
    """A request that the HTTP edge refuses before any work is done.

    Parameters
    ----------
    what, got, expected, do
        As in `RecollectError`.
    status : int
        HTTP status.
    headers : mapping, optional
        More headers of the answer.
    """

    def __init__(
        self, what: str, *, status: int, got: object, expected: str, do: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        super().__init__(what, got=got, expected=expected, do=do)


def request_id(scope: Mapping[str, Any]) -> str:
    """Return the id of the request whose ASGI scope this is."""
    return str(scope.get("state", {}).get("request_id", ""))


def as_response(error: BaseException, scope: Mapping[str, Any]) -> JSONResponse:
    """Make the answer to any error."""
    if isinstance(error, RequestValidationError):
        return _respond(_misfit(error), scope)
    if isinstance(error, HTTPException):
        return _respond(_from_framework(error, scope), scope)
    known = translate(error)
    if isinstance(known, SystemFailure) and meaning(known).http_status in _OURS:
        write("cannot answer", level=logging.ERROR, request_id=request_id(scope), what=known.what, got=known.got)
    return _respond(known or _fault(), scope, status=None if known else _FAULT)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Make the answer to an error that a route raised; the signature is the framework's."""
    return as_response(error, request.scope)


def _respond(error: RecollectError, scope: Mapping[str, Any], *, status: int | None = None) -> JSONResponse:
    code = status or (error.status if isinstance(error, Refused) else meaning(error).http_status)
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    if code in _LATER:
        headers.setdefault(_RETRY, "1")
    fault = {"what": error.what, "got": error.got, "expected": error.expected, "do": error.do}
    body = {
        "error": {name: _clean(text) for name, text in fault.items()} | {"code": _code(error, code)},
        "request_id": request_id(scope),
    }
    return JSONResponse(body, status_code=code, headers=headers)


def _code(error: RecollectError, status: int) -> str:
    """Name an error for programs: by its HTTP status if the edge made it, by its class otherwise."""
    if isinstance(error, Refused) or status == _FAULT:
        return _CODES.get(status, "refused")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def _clean(text: str) -> str:
    """Make text that UTF-8 can hold: half of a surrogate pair, which JSON may smuggle in, is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _misfit(error: RequestValidationError) -> Refused:
    first = cast(dict[str, Any], error.errors()[0])
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        detail = first.get("ctx", {}).get("error", "")
        return Refused("a body that is no JSON", status=400, got=f"{detail} at {place}", expected="JSON", do=_ADVICE)
    if isinstance(first.get("input"), bytes):
        return Refused(
            "a body that is not told to be JSON",
            status=415,
            got="another Content-Type, or none",
            expected="Content-Type: application/json",
            do="add the header",
        )
    more = len(error.errors()) - 1
    return Refused(
        f"a request that does not fit at {place}",
        status=422,
        got=repr(first.get("input")),
        expected=_expected(first),
        do=f"mend it and {more} more; {_ADVICE}" if more else f"mend it; {_ADVICE}",
    )


def _expected(detail: Mapping[str, Any]) -> str:
    if detail["type"] == "string_pattern_mismatch":
        return "text without control characters"
    return str(detail["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def _from_framework(error: HTTPException, scope: Mapping[str, Any]) -> Refused:
    says: dict[int, Sequence[str]] = {
        404: ("no such path", "a path of /openapi.json", "check the path"),
        405: ("a method that this path does not have", "a method that the Allow header names", "change the method"),
        400: ("a body that cannot be read", "JSON in UTF-8", _ADVICE),
    }
    what, expected, do = says.get(error.status_code, (str(error.detail), "a request that fits", _ADVICE))
    got = f"{scope.get('method')} {scope.get('path')}"
    return Refused(what, status=error.status_code, got=got, expected=expected, do=do, headers=error.headers)


def _fault() -> RecollectError:
    return RecollectError(
        "a fault of the service",
        got="an unexpected error",
        expected="an answer",
        do="report it with the request id; the log of the service says more under that id",
    )


_REQUEST_ID_HEADER: Final = {
    REQUEST_ID: {"description": "Id of the request, the same as in the body.", "schema": {"type": "string"}}
}
_SAYS: Final = {
    400: "The request makes no sense, or is no JSON.",
    401: "A key is needed, or this one is not valid.",
    403: "The key does not allow this.",
    404: "No such path, user, item, request or run.",
    405: "The path does not have this method.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    415: "The body is not told to be JSON.",
    422: "A value does not fit the schema, or the data.",
    429: "Too many requests: come again after the seconds in Retry-After.",
    500: "A fault of the service.",
    503: "Not ready, or stopping: come again after the seconds in Retry-After.",
    507: "No space is left.",
}


def documented(*successes: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route for the schema: every error, and the header that all answers have."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": text, "headers": _REQUEST_ID_HEADER} for status, text in _SAYS.items()
    }
    fine: dict[int | str, dict[str, Any]] = {status: {"headers": _REQUEST_ID_HEADER} for status in successes or (200,)}
    return fine | errors
