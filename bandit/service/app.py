"""The web application: FastAPI's routes over the service's addresses."""
# Without postponed annotations: FastAPI reads those of the endpoints, whose names are imported in functions.

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from bandit._version import __version__
from bandit.errors import MissingExtraError
from bandit.service.api import ServiceApi
from bandit.service.engine_host import EngineHost
from bandit.service.gate import OPEN_TO_ALL, Gate
from bandit.service.openapi import complete
from bandit.service.options import ServiceOptions
from bandit.service.recipe import EngineRecipe
from bandit.service.replies import INTERNAL_ERROR, Reply, RequestError, error_reply
from bandit.service.request_watch import RequestWatch
from bandit.service.service_metrics import ServiceMetrics
from bandit.service.telemetry import DecisionTracer
from bandit.service.token_file import TokenFile

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

Endpoint = Callable[..., Awaitable["Response"]]

BEAT_EVERY = 1.0
"""Seconds between two signs of life."""

OPEN_WAIT = 5.0
"""Seconds that no request is accepted while the engine opens: another worker answers them meanwhile."""

_ADDRESSES = "POST /decide, /decide/batch, /events; GET /why/ID, /status, /healthz, /readyz, /metrics"


def create_app(
    recipe: EngineRecipe, options: ServiceOptions, *, on_beat: Callable[[bool], None] = lambda _ready: None
) -> "FastAPI":
    """Return the service as an ASGI application, which opens the engine when it starts and closes it when it ends.

    `on_beat` is called each second by the event loop, with whether the service is ready. Requests are accepted once the
    engine is open, or after `OPEN_WAIT` seconds, from when on they are answered that it is not. MissingExtraError where
    FastAPI or prometheus-client is not installed, InputError for a token file that cannot be used.
    """
    try:
        from fastapi import FastAPI  # noqa: PLC0415 - an extra
    except ImportError as fault:
        raise MissingExtraError("the service", "service") from fault

    tokens = None if options.token_file is None else TokenFile(options.token_file)
    metrics = ServiceMetrics(options.run_folder)
    host = EngineHost(recipe, options, on_status=metrics.take_status, on_learned=metrics.count_learning)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:  # noqa: ANN401 - the application itself
        host.start()
        beats = asyncio.create_task(_beat(host, on_beat))
        await asyncio.to_thread(host.wait_until_open, OPEN_WAIT)
        try:
            yield
        finally:
            beats.cancel()
            await asyncio.to_thread(host.close)

    app = FastAPI(
        title="offer-bandit",
        version=__version__,
        description="Decisions over HTTP. Every error has one sentence in `detail`.",
        lifespan=lifespan,
        docs_url="/docs" if options.shows_docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if options.shows_docs else None,
    )
    app.state.host = host
    _add_routes(app, ServiceApi(host, DecisionTracer(__version__)), RequestWatch(metrics), metrics)
    _add_error_handlers(app)
    _describe(app, host)
    app.add_middleware(Gate, options=options, tokens=tokens, metrics=metrics)
    return app


async def _beat(host: EngineHost, on_beat: Callable[[bool], None]) -> None:
    while True:
        on_beat(host.unready is None)
        await asyncio.sleep(BEAT_EVERY)


def _add_routes(app: "FastAPI", api: ServiceApi, watch: RequestWatch, metrics: ServiceMetrics) -> None:
    async def rendered() -> Reply:
        """Return the metrics of all workers in Prometheus' text format."""
        return metrics.render()

    for path, take in (("/decide", api.decide), ("/decide/batch", api.decide_batch), ("/events", api.record)):
        _add(app, path, _body_endpoint(watch, path, take), take.__doc__, "POST")
    _add(app, "/why/{decision_id:path}", _why_endpoint(watch, api), api.why.__doc__, "GET")
    plain = (("/status", api.status), ("/healthz", api.health), ("/readyz", api.ready), ("/metrics", rendered))
    for path, give in plain:
        endpoint = _plain_endpoint(watch, path, give)
        _add(app, path, endpoint, give.__doc__, "GET")
        if path in OPEN_TO_ALL:  # load balancers ask by HEAD, too
            app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, response_model=None)


def _body_endpoint(watch: RequestWatch, path: str, handle: Callable[[bytes], Awaitable[Reply]]) -> Endpoint:
    from fastapi import Request, Response  # noqa: PLC0415 - an extra

    async def endpoint(request: Request) -> Response:
        async def answer() -> Reply:
            return await handle(await request.body())

        return _response(await watch.answer(path, answer, request.headers))

    return endpoint


def _plain_endpoint(watch: RequestWatch, path: str, handle: Callable[[], Awaitable[Reply]]) -> Endpoint:
    from fastapi import Response  # noqa: PLC0415 - an extra

    async def endpoint() -> Response:
        return _response(await watch.answer(path, handle))

    return endpoint


def _why_endpoint(watch: RequestWatch, api: ServiceApi) -> Endpoint:
    from fastapi import Response  # noqa: PLC0415 - an extra

    async def endpoint(decision_id: str) -> Response:
        return _response(await watch.answer("/why", lambda: api.why(decision_id)))

    return endpoint


def _add(app: "FastAPI", path: str, endpoint: Endpoint, about: str | None, method: str) -> None:
    summary = (about or "").partition("\n")[0]
    app.add_api_route(path, endpoint, methods=[method], summary=summary, response_model=None)


def _add_error_handlers(app: "FastAPI") -> None:
    """Have every error answered by one sentence, those of the framework among them."""
    from fastapi import Request, Response  # noqa: PLC0415 - an extra
    from starlette.exceptions import HTTPException  # noqa: PLC0415 - an extra

    async def unknown(request: Request, fault: HTTPException) -> Response:
        sentence = str(fault.detail)
        if fault.status_code == 404:
            sentence = f"there is no such address; there are {_ADDRESSES}"
        elif fault.status_code == 405:
            sentence = f"{request.method} is not taken here; there are {_ADDRESSES}"
        error = RequestError(fault.status_code, sentence)
        error.headers.update(fault.headers or {})
        return _response(error_reply(error))

    async def refused(_: Request, fault: RequestError) -> Response:
        return _response(error_reply(fault))

    async def internal(_: Request, __: Exception) -> Response:
        return _response(error_reply(RequestError(500, INTERNAL_ERROR)))

    app.add_exception_handler(Exception, internal)
    app.add_exception_handler(HTTPException, unknown)  # type: ignore[arg-type]  # it is called with that error alone
    app.add_exception_handler(RequestError, refused)  # type: ignore[arg-type]  # it is called with that error alone


def _describe(app: "FastAPI", host: EngineHost) -> None:
    """Have the OpenAPI document made from the catalogue, once the engine is open."""
    from fastapi.openapi.utils import get_openapi  # noqa: PLC0415 - an extra

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            catalogue = host.engine.catalogue
            plain = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = complete(plain, catalogue)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's way of extending the document


def _response(found: Reply) -> "Response":
    from starlette.responses import Response  # noqa: PLC0415 - an extra

    return Response(found.content, found.status, dict(found.headers), found.media_type)
