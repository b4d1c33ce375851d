"""The pages that are executed, and what each needs before it is run."""

from pathlib import Path

from bandit.catalogue import Catalogue
from bandit.store import Store
from tests.conftest import SPRING
from tests.docs.pages import Setting
from tests.evaluate import test_incrementality_log as increments
from tests.evaluate import test_lift_log as groups
from tests.store.rows import decisions, events

ROOT = Path(__file__).resolve().parents[2]
KEY = b"a key for our tests"
WITH_KEY = {"OFFER_BANDIT_KEY": KEY.decode()}


def _groups(directory):
    groups.write(directory / "offers.db", groups.catalogue_with(), groups.LOG, key=KEY)


def _holdout(directory):
    increments.write(directory / "offers.db", increments.catalogue_with(), increments.LOG, key=KEY)


def _unsubscribed(directory):
    """Four decisions, of which one was followed by an unsubscription, under a bound of a tenth."""
    guardrails = [{"event": "unsubscribe", "at_most": 0.1}]
    with Store.open(directory / "offers.db", customer_key=KEY, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING | {"guardrails": guardrails}))
        policy = store.catalogues.register_policy(number, {"kind": "uniform"})
        store.decision_writer.append(decisions(number, 10, "abcd", policy_id=policy))
        store.events.append(events("a", "unsubscribe"))


EXECUTED = {
    "README.md": Setting(WITH_KEY),
    "docs/audience.md": Setting(),
    "docs/groups.md": Setting(),
    "docs/guardrails.md": Setting(prepare=_unsubscribed),
    "docs/howto/add_an_option.md": Setting(WITH_KEY),
    "docs/howto/choose_a_half_life.md": Setting(),
    "docs/howto/email_tool.md": Setting(WITH_KEY),
    "docs/howto/embed.md": Setting(WITH_KEY),
    "docs/howto/erase_and_export.md": Setting(WITH_KEY),
    "docs/howto/judge_a_campaign.md": Setting(),
    "docs/howto/logs_without_propensities.md": Setting(),
    "docs/howto/openfeature.md": Setting(WITH_KEY),
    "docs/howto/policy_table.md": Setting(WITH_KEY),
    "docs/howto/partitioned_logs.md": Setting(),
    "docs/howto/prove_the_log.md": Setting(WITH_KEY),
    "docs/howto/vowpal_wabbit.md": Setting(WITH_KEY),
    "docs/incrementality.md": Setting(prepare=_holdout),
    "docs/lift.md": Setting(prepare=_groups),
    "docs/plan.md": Setting(),
    "docs/report.md": Setting(),
    "docs/results.md": Setting(),
    "docs/rollout.md": Setting(WITH_KEY),
    "docs/scale.md": Setting(WITH_KEY),
    "docs/tutorials/data_scientist.md": Setting(),
    "docs/tutorials/engineer.md": Setting(WITH_KEY),
    "docs/tutorials/marketer.md": Setting(),
}
"""The path of each page from the root, and its setting. A page with a `python` or `console` block belongs here."""

ELSEWHERE = {
    "docs/howto/serve.md": "its commands serve until they are ended; test_serve_page sends its requests to the service",
    "docs/why.md": "its numbers differ between processors by more than their last digit; test_why_page compares them",
    "examples/live_campaign/README.md": "its commands take minutes; test_live_campaign runs them on fewer customers",
}
"""Pages with such blocks that another test runs, and why."""
