"""One report of a campaign with hostile names, made once, and one of a live database with all four groups."""

import pytest

from bandit.clock import microseconds
from bandit.report.html import ReportOptions, gather, render_report
from bandit.report.html.database import database_source
from bandit.store import Store
from tests.engine.conftest import KEY
from tests.report.dashboard.conftest import recorded
from tests.report.html.campaign import options, source

__all__ = ["recorded"]


@pytest.fixture(scope="session")
def contents():
    return gather(source(), options())


@pytest.fixture(scope="session")
def page(contents):
    return render_report(contents)


@pytest.fixture(scope="session")
def live_contents(recorded):
    """The report of a database with a policy, rules, random and holdout, and three weeks of decisions."""
    now = microseconds(None)
    with Store.open(recorded.path, customer_key=KEY, read_only=True) as store:
        catalogue = store.catalogues.latest()[1]
        made = database_source(store, catalogue, now=now)
        yield gather(made, ReportOptions(now=now, quick=True))


@pytest.fixture(scope="session")
def live_page(live_contents):
    return render_report(live_contents)
