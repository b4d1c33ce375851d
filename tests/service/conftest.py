"""What the tests of the service share: the application in an event loop of its own thread, and a client of it."""

import asyncio
import copy
import threading

import pytest

import bandit
from bandit.service.app import create_app
from bandit.service.options import ServiceOptions
from bandit.service.recipe import EngineRecipe
from tests.conftest import SPRING

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")

KEY = b"a key for our tests"
CUSTOMER, LOYAL = "anna@example.com", {"gender": "f", "recency": 1.5, "loyal": True}


def recipe_of(path, mapping=SPRING, policy=None, **settings):
    """A recipe for a database in the test's folder, by the uniform policy unless another is given."""
    catalogue = bandit.Catalogue.from_dict(copy.deepcopy(mapping))
    return EngineRecipe(
        path=path,
        catalogue=catalogue.to_dict(),
        policy={"kind": "uniform"} if policy is None else policy,
        seed=7,
        durability="process",
        customer_key=KEY,
        **settings,
    )


class Service:
    """The application, started in an event loop of a thread, and requests to it."""

    def __init__(self, recipe, options):
        self.app = create_app(recipe, options)
        self.host = self.app.state.host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._lifespan = self.app.router.lifespan_context(self.app)
        self.wait(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service")

    def wait(self, work, seconds=30):
        return self.begin(work).result(seconds)

    def begin(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def request(self, method, path, **options):
        return self.wait(self._client.request(method, path, **options))

    def begin_post(self, path, body):
        """A request that goes on meanwhile, as a future."""
        return self.begin(self._client.post(path, json=body))

    def post(self, path, body=None, **options):
        return self.request("POST", path, json=body, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def decide(self, customer=CUSTOMER, context=LOYAL, **more):
        return self.post("/decide", {"customer": customer, "context": context, **more})

    @property
    def engine(self):
        return self.host.engine

    def close(self):
        if self._loop.is_closed():
            return
        self.wait(self._client.aclose())
        self.wait(self._lifespan.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def start(path):
    """A function that starts the service on the test's database, with other options or another recipe."""
    running = []

    def started(recipe=None, **options):
        chosen = {"learn_every": None} | options
        running.append(Service(recipe or recipe_of(path), ServiceOptions(**chosen)))
        return running[-1]

    yield started
    for each in running:
        each.close()


@pytest.fixture
def service(start):
    return start()
