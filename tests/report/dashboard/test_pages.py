"""The pages of the dashboard through Datasette's own client: each answers, shows rows, and shows names as text."""

import asyncio
import copy
import json

import pytest

import bandit
from bandit.report.dashboard.metadata import DashboardSubject, dashboard_metadata
from bandit.report.dashboard.queries import DASHBOARD_QUERIES
from bandit.report.dashboard.serve import DATASETTE_SETTINGS
from bandit.store import Store
from bandit.store.descriptions import DESCRIPTIONS
from tests.conftest import SPRING
from tests.engine.conftest import KEY, context

pytest.importorskip("datasette")
pytestmark = [  # Datasette leaves connections of its own to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*converts nothing"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOSTILE = '<script>alert("x")</script>'
VALUES = {"fact": "gender", "decision_id": "a42", "customer": ""}


@pytest.fixture
def datasette():
    """A function that returns {address: answer} of Datasette on a file, with the settings of the command."""
    from datasette.app import Datasette  # noqa: PLC0415 - an extra

    def get(path, addresses, subject=None):
        subject = DashboardSubject(path.stem, "spring") if subject is None else subject
        settings = {
            name: {"off": False}.get(value, int(value) if value.isdigit() else value)
            for name, value in DATASETTE_SETTINGS.items()
        }

        async def all_of_them():
            server = Datasette([str(path)], metadata=dashboard_metadata(subject), settings=settings)
            await server.invoke_startup()
            answers = {address: await server.client.get(address) for address in addresses}
            for database in server.databases.values():
                database.close()
            return answers

        return asyncio.run(all_of_them())

    return get


def address_of(query):
    return f"/offers/{query.name}?" + "&".join(f"{name}={VALUES.get(name, '')}" for name in query.parameters)


def test_every_page_answers(datasette, recorded):
    tables = [f"/offers/{name}" for name in DESCRIPTIONS]
    queries = [address_of(query) for query in DASHBOARD_QUERIES]
    answers = datasette(recorded.path, ["/", "/offers", *tables, *queries])
    assert {address: each.status_code for address, each in answers.items()} == dict.fromkeys(answers, 200)
    home, database = answers["/"].text, answers["/offers"].text
    assert "Offers: spring" in home
    assert "keyed hashes" in home
    for query in DASHBOARD_QUERIES:
        assert f'/offers/{query.name}"' in database
        assert query.title in answers[address_of(query)].text.replace("&#39;", "'")
        assert "message-error" not in answers[address_of(query)].text
    for name, words in DESCRIPTIONS.items():
        assert f'href="/offers/{name}"' in database or words.internal
        for column in words.columns:
            assert f"<dt>{column}</dt>" in answers[f"/offers/{name}"].text


def test_a_query_gives_the_same_rows_as_json(datasette, recorded):
    (answer,) = datasette(recorded.path, ["/offers/result_by_group.json?_shape=array"]).values()
    rows = {row["group"]: row["decisions"] for row in json.loads(answer.text)}
    assert rows == {name: n for name, (n, _, _) in recorded.results(lambda each: each["grp"]).items()}


def test_nothing_is_written_and_the_file_is_not_handed_out(datasette, recorded):
    before = recorded.path.read_bytes()
    attempts = ["/offers?sql=delete+from+meta", "/offers?sql=pragma+user_version%3D9", "/offers.db"]
    answers = datasette(recorded.path, attempts)
    assert [each.status_code for each in answers.values()] == [400, 400, 403]
    assert recorded.path.read_bytes() == before


def test_names_from_the_data_are_shown_as_text(datasette, tmp_path):
    """A catalogue, an option, a fact, a customer, an event and an id that are HTML come out escaped on every page."""
    mapping = copy.deepcopy(SPRING) | {"name": HOSTILE}
    mapping["dimensions"][2]["options"].append({"name": HOSTILE})
    mapping["context"]["gender"]["values"].append(HOSTILE)
    catalogue = bandit.Catalogue.from_dict(mapping)
    path = tmp_path / "offers.db"
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=KEY) as engine:
        for row in range(40):
            engine.decide(f"{HOSTILE}{row}", context(row) | {"gender": HOSTILE}, decision_id=f"{HOSTILE}{row}")
        engine.record(f"{HOSTILE}3", HOSTILE, revenue=1.0)
        engine.rollout.set_mode("full", author=HOSTILE, reason=HOSTILE)
    addresses = ["/", "/offers", *(f"/offers/{name}" for name in DESCRIPTIONS)]
    addresses += [address_of(query) for query in DASHBOARD_QUERIES]
    addresses += [f"/offers/one_decision?decision_id={HOSTILE}3", f"/offers/result_by_fact?fact={HOSTILE}"]
    answers = datasette(path, addresses, DashboardSubject("offers", HOSTILE))
    seen = 0
    for address, each in answers.items():
        assert each.status_code == 200, address
        assert "<script>alert" not in each.text, address
        seen += "&lt;script&gt;alert" in each.text
    assert seen > 10


def test_customers_in_the_clear_are_said_to_be(datasette, recorded):
    answers = datasette(recorded.path, ["/", "/offers"], DashboardSubject("offers", None, in_clear=True))
    assert all("stored in the clear" in each.text for each in answers.values())


def test_a_page_shows_what_an_engine_has_just_written(datasette, tmp_path):
    """The file is open for writing, and the decisions are in its write-ahead log: the second look has one more."""
    path, address = tmp_path / "offers.db", "/offers/log_by_month.json?_shape=array"
    catalogue = bandit.Catalogue.from_dict(SPRING)

    def decisions():
        (answer,) = datasette(path, [address]).values()
        return sum(row["decisions"] for row in json.loads(answer.text))

    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=KEY) as engine:
        engine.decide("one", context(0))
        assert path.with_name("offers.db-wal").stat().st_size > 0
        assert decisions() == 1
        engine.decide("two", context(1))
        assert decisions() == 2


def test_a_database_without_anything_has_every_page(datasette, tmp_path):
    path = tmp_path / "offers.db"
    Store.open(path).close()
    queries = [address_of(query) for query in DASHBOARD_QUERIES]
    answers = datasette(path, ["/", "/offers", *(f"/offers/{name}" for name in DESCRIPTIONS), *queries])
    assert {each.status_code for each in answers.values()} == {200}
    assert not any("message-error" in each.text for each in answers.values())
