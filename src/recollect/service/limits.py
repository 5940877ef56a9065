"""Limits: how much one caller may send at once, and how often.

It decides that a body is counted while it arrives, so that a large one is refused at its limit and never held, and that
each caller has a bucket of tokens which fills at a steady rate. Buckets are kept for the callers seen last only, so
that a crowd of addresses costs no memory.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recollect.service.problems import Refused, as_response

_CALLERS: Final = 10_000
_PATIENCE: Final = 10  # seconds, and times the limit, that a body which is too large may pass by


class Buckets:
    """A bucket of tokens for each caller.

    Parameters
    ----------
    rate : float
        Tokens per second; 0 for no limit.
    burst : int
        Tokens of a full bucket, 1 or more.
    clock : callable, optional
        Gives seconds; never goes back.

    Examples
    --------
    >>> buckets = Buckets(rate=1.0, burst=1, clock=lambda: 0.0)
    >>> buckets.take("somebody"), buckets.take("somebody")
    (0.0, 1.0)
    """

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, caller: str, *, tokens: int = 1) -> float:
        """Take a token, or none to look only; returns 0.0, or the seconds until there is one, and then takes none."""
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        left, then = self._kept.pop(caller, (float(self._burst), now))
        left = min(float(self._burst), left + (now - then) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._kept[caller] = (left if wait else left - tokens, now)
        if len(self._kept) > _CALLERS:
            self._kept.popitem(last=False)
        return wait

    def admit(self, caller: str, *, tokens: int = 1) -> None:
        """Take a token, or none to look only, or refuse.

        Raises
        ------
        Refused
            With status 429 and the seconds to wait, if there is no token.
        """
        wait = self.take(caller, tokens=tokens)
        if wait:
            seconds = max(1, math.ceil(wait))
            raise Refused(
                "too many requests",
                status=429,
                got=f"more than {self._rate:g} requests per second",
                expected=f"{self._rate:g} per second, {self._burst} at once",
                do=f"try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )


class BodyLimit:
    """Refuse bodies above a limit: at once if their length is told, else as soon as they pass it.

    Parameters
    ----------
    app : ASGIApp
        What is behind.
    limit : int
        Bytes.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the signature is ASGI's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > self._limit:
            await self._refuse(told, scope, receive, send, more="expect" not in Headers(scope=scope))
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve while counting; what is answered to a body that passed the limit gives way to the refusal.

        Raises
        ------
        Refused
            If something behind refuses for another reason.
        """
        size, more, answered = 0, True, False

        async def count() -> Message:
            nonlocal size, more
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size > self._limit:
                raise self._too_large(f"more than {self._limit}")
            return message

        async def pass_on(message: Message) -> None:
            nonlocal answered
            if size <= self._limit:
                answered = True
                await send(message)

        try:
            await self._app(scope, count, pass_on)
        except Refused:
            if size <= self._limit:
                raise
        if size > self._limit and not answered:
            await self._refuse(f"more than {self._limit}", scope, receive, send, more=more)

    async def _refuse(self, size: str, scope: Scope, receive: Receive, send: Send, *, more: bool) -> None:
        """Answer that it is too large, once the caller listens: many do so only when they have sent all."""
        if more:
            await _discard(receive, most=_PATIENCE * self._limit)
        await as_response(self._too_large(size), scope)(scope, receive, send)

    def _too_large(self, size: str) -> Refused:
        return Refused(
            "a body that is too large",
            status=413,
            got=f"{size} bytes",
            expected=f"at most {self._limit} bytes",
            do="send it in several parts, or raise the setting body_limit",
            headers={"Connection": "close"},
        )


async def _discard(receive: Receive, *, most: int) -> None:
    """Let a body pass by, but neither for ever nor to any length; what comes then is cut off."""
    seen = 0
    with anyio.move_on_after(_PATIENCE):
        while seen < most:
            message = await receive()
            seen += len(message.get("body", b""))
            if not message.get("more_body", False):
                return
