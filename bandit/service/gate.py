"""What every request passes before the addresses: the token, its kind, the limits of its body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from bandit.service.replies import RequestError, error_reply
from bandit.service.service_log import log_event

if TYPE_CHECKING:
    from bandit.service.options import ServiceOptions
    from bandit.service.service_metrics import ServiceMetrics
    from bandit.service.token_file import TokenFile

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

OPEN_TO_ALL = ("/healthz", "/readyz")
"""Addresses that need no token: what watches over the service has none."""

DOCS = ("/docs", "/openapi.json")


class Gate:
    """An ASGI application around the service's own: what it refuses does not reach that."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        options: ServiceOptions,
        tokens: TokenFile | None,
        metrics: ServiceMetrics,
    ) -> None:
        self._app, self._options, self._tokens, self._metrics = app, options, tokens, metrics
        self._open = OPEN_TO_ALL + (DOCS if options.shows_docs else ())
        self._tokens_fault: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._placed(scope)
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, LimitedBody(receive, self._options.max_body, self._options.deadline).receive, send)
            return
        found = error_reply(refused)
        self._metrics.count_request("refused", found, 0.0)
        log_event("refused", level="warning", status=found.status, detail=refused.detail)
        headers = {"content-type": found.media_type, "content-length": str(len(found.content)), **found.headers}
        if found.status == 413:
            headers["connection"] = "close"  # what is left of the body is not read
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": found.status, "headers": raw})
        await send({"type": "http.response.body", "body": found.content})

    def _placed(self, scope: Scope) -> Scope:
        """Return a request whose path begins with the proxy's, whether or not the proxy has taken it away."""
        before, path = self._options.root_path, scope["path"]
        if not before:
            return scope
        return {**scope, "root_path": before, "path": path if path.startswith(f"{before}/") else f"{before}{path}"}

    def _refusal(self, scope: Scope) -> RequestError | None:
        """Return why a request is refused by its head, None where it is not."""
        headers = dict(scope["headers"])
        path = scope["path"].removeprefix(self._options.root_path)
        if self._tokens is not None and path not in self._open:
            accepted = self._tokens.accepts(headers.get(b"authorization"))
            self._warn_of_tokens(self._tokens.fault)
            if not accepted:
                error = RequestError(401, "the bearer token is missing or wrong; send Authorization: Bearer TOKEN")
                error.headers["WWW-Authenticate"] = "Bearer"
                return error
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._options.max_body:
            return _too_large(self._options.max_body)
        if scope["method"] == "POST":
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if kind != b"application/json":
                return RequestError(415, "a body is JSON; send it with the header Content-Type: application/json")
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                return RequestError(415, "a compressed body is not taken; send it as it is")
        return None

    def _warn_of_tokens(self, fault: str | None) -> None:
        if fault != self._tokens_fault:
            self._tokens_fault = fault
            if fault is not None:
                log_event("token file not read; the tokens before stay valid", level="error", detail=fault)


class LimitedBody:
    """Receives a body within its limit and in time."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive, self._most = receive, most
        self._n = 0
        self._end = time.monotonic() + seconds
        self._whole = False

    async def receive(self) -> Message:
        """Return the next message; RequestError for a body that is too large (413) or too slow (408)."""
        if self._whole:
            return await self._receive()
        left = self._end - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.001)):
                message = await self._receive()
        except TimeoutError:
            raise RequestError(408, "the body did not come within the deadline; send it faster") from None
        self._n += len(message.get("body", b""))
        if self._n > self._most:
            raise _too_large(self._most)
        self._whole = not message.get("more_body", False)
        return message


def _too_large(most: int) -> RequestError:
    return RequestError(413, f"the body has more than {most:,} bytes; send it in parts")
