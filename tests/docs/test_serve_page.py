"""The page on the service: each request that it shows is sent, and answered as it says."""

import re
import shlex
from pathlib import Path

import pytest

from bandit.catalogue import Catalogue
from bandit.cli.app import app
from tests.docs.pages import matches
from tests.service.conftest import Service, ServiceOptions, recipe_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/howto/serve.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\$ (curl .*)\n(.*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    catalogue = Catalogue.from_toml(ROOT / "bandit/examples/catalogue.toml")
    recipe = recipe_of(tmp_path_factory.mktemp("page") / "offers.db", catalogue.to_dict(), {"kind": "thompson"})
    running = Service(recipe, ServiceOptions(learn_every=None))
    yield running
    running.close()


def test_each_request_is_answered_as_shown(service):
    assert len(SHOWN) == 6
    for command, shown in SHOWN:
        words = shlex.split(command)
        address, body = words[2], words[words.index("-d") + 1]
        path = address.removeprefix("localhost:8080")
        found = service.post(path, None, content=body.encode(), headers={"Content-Type": "application/json"})
        assert matches([shown], [found.text]), (command, found.text)


def test_the_table_of_addresses_is_that_of_the_service(service):
    routes = {route.path.replace("{decision_id:path}", "ID") for route in service.app.routes if route.path != "/docs"}
    named = {f"/{name}" for name in re.findall(r"`(?:(?:POST|GET) )?/([a-zA-Z/]+)`", PAGE.split("| status |")[0])}
    assert named == {route for route in routes if route.count("docs") == 0 and route != "/openapi.json"}


def test_the_metrics_that_it_names_are_there_and_all_of_them(service):
    service.post("/decide", {"customer": "a"})
    names = set(re.findall(r"^# HELP offer_bandit_(\w+)", service.get("/metrics").text, flags=re.MULTILINE))
    (table,) = re.findall(r"\| metric, with.*?\n\n", PAGE, flags=re.DOTALL)
    named = {name.removesuffix("_total") for name in re.findall(r"`(\w+)`", table)}
    others = {"refused_spool_lines"}
    assert {name.removesuffix("_total") for name in names} - others <= named


def test_the_options_that_it_names_are_there():
    (command,) = [each for each in app.registered_commands if each.name == "serve"]
    help_text = (ROOT / "bandit/cli/serve.py").read_text(encoding="utf-8")
    assert command.callback is not None
    for option in set(re.findall(r"(?<![-|])--[a-z][a-z-]*", PAGE)):
        assert f'"{option}' in help_text or option in {"--policy", "--catalogue"}, option
