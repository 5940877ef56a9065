"""Who may do what: API keys with scopes, and none needed from this machine itself unless the settings say so.

It decides that a request is admitted before its body is read. "From this machine" means that both ends are: the address
is loopback, and so is the name that the caller used for us, since a page in a browser can make a foreign name lead to
loopback. Behind a proxy the address is that of its client (`X-Forwarded-For`, believed from loopback only). Whoever
sends keys that are not valid runs out of tries before the store is asked; tries have a bucket of their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Literal, NoReturn, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from recollect.service.keys import check
from recollect.service.limits import Buckets
from recollect.service.problems import Refused
from recollect.service.state import Service

Scope = Literal["read", "write", "admin"]
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Gate:
    """Admit requests.

    Parameters
    ----------
    service : Service
        Whose store holds the keys, and whose settings the rates.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        settings = service.settings
        self._require_key = settings.require_key
        self._names = _LOCAL_NAMES | {settings.host.lower()}
        self._buckets = Buckets(rate=settings.rate, burst=settings.burst)

    async def admit(self, request: Request, scope: Scope) -> None:
        """Let a request pass.

        Raises
        ------
        Refused
            With status 401 without a valid key where one is needed, 403 if the key lacks the scope, 429 if its bearer
            asks too often.
        """
        address = request.client.host if request.client else None
        secret = _bearer(request)
        if secret is None:
            self._buckets.admit(f"address {address}")
            self._check_local(request, address)
            return
        guesser = f"bad keys of {address}"
        self._buckets.admit(guesser, tokens=0)
        key = await self._service.call(lambda: check(self._service.store, secret), kind="keys")
        self._buckets.admit(guesser if key is None else f"key {key.id}")
        if key is None:
            _refuse("a key that is not valid", got="an unknown or revoked key")
        if not key.allows(scope):
            raise Refused(
                "a key that does not allow this",
                status=403,
                got=f"a key for {', '.join(sorted(key.scopes))}",
                expected=f"one for {scope}",
                do=f"make one with `recollect keys add --scope {scope}`",
            )

    def _check_local(self, request: Request, address: str | None) -> None:
        if self._require_key:
            _refuse("no key", got="a request without a key")
        if not _is_loopback(address):
            _refuse("no key", got="a request from another machine, without a key")
        if _host_name(request) not in self._names:
            _refuse("no key", got="a request without a key to a name that is not local")


class _GuardedRoute(APIRoute):
    """A route that admits a request before its body is read."""

    scope: ClassVar[Scope]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the gate before the handler."""
        handler, scope = super().get_route_handler(), self.scope

        async def guarded(request: Request) -> Response:
            await cast(Gate, request.app.state.gate).admit(request, scope)
            return await handler(request)

        return guarded


class ReadRoute(_GuardedRoute):
    """A route that reads."""

    scope = "read"


class WriteRoute(_GuardedRoute):
    """A route that adds."""

    scope = "write"


class AdminRoute(_GuardedRoute):
    """A route that erases, or changes what answers."""

    scope = "admin"


def _bearer(request: Request) -> str | None:
    """Return the secret that a request carries, None if it carries none."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    kind, _, secret = header.partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


def _host_name(request: Request) -> str:
    host = request.headers.get("host", "").lower()
    return host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]


def _is_loopback(address: str | None) -> bool:
    if address is None:  # a socket of this machine
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _refuse(what: str, *, got: str) -> NoReturn:
    raise Refused(
        what,
        status=401,
        got=got,
        expected="the header `Authorization: Bearer rc_…`",
        do="make a key with `recollect keys add`",
        headers={"WWW-Authenticate": "Bearer"},
    )
