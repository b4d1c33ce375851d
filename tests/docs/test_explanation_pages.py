"""The pages that explain: their thresholds, names and limits are those of the code."""

import inspect
import re
from pathlib import Path

import pytest

import bandit
from bandit.catalogue.catalogue import MAX_COMBINATIONS, MAX_DIMENSIONS
from bandit.catalogue.condition_syntax import MAX_DEPTH, MAX_LENGTH
from bandit.catalogue.facts import MAX_TEXT
from bandit.catalogue.file_tables import MAX_WINDOW_DAYS
from bandit.catalogue.objective import ObjectiveKind
from bandit.catalogue.schema import MAX_NAME
from bandit.catalogue.toml import MAX_TOML_BYTES
from bandit.cli.choices import ESTIMATOR_NAMES, INTERVAL_KINDS, ONE_POLICY_FORMS
from bandit.engine import EngineStatus
from bandit.evaluate import GATE
from bandit.evaluate.diagnostics import target
from bandit.learning.learner import MAX_STEP_OUTCOMES
from bandit.logfiles.sources.csv import MAX_FILE_COLUMNS, MAX_LINE
from bandit.logfiles.sources.dsjson import MAX_EVENT
from bandit.ope import DEFAULT_INTERVAL
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.ope.estimators.clipped_ips import CLIPPED_MAX_WEIGHT
from bandit.ope.estimators.dr_os import SHRINKAGE
from bandit.ope.estimators.switch_dr import SWITCH_THRESHOLD
from bandit.policies.vw.arguments import MAX_BITS
from bandit.printable import MAX_MESSAGE

DOCS = Path(__file__).resolve().parents[2] / "docs"
NUMBERS, TRUST, HOW, OPERATIONS = (
    (DOCS / name).read_text(encoding="utf-8")
    for name in ("explanation/numbers.md", "explanation/trust.md", "explanation/how-it-works.md", "operations.md")
)


def words(text):
    """The text on one line, as a sentence may go over several."""
    return " ".join(text.split())


def test_every_estimator_interval_and_objective_is_explained():
    """Those chosen by SLOPE are one row: `...-slope`."""
    named = {name for name in ESTIMATOR_NAMES if not name.endswith("-slope")}
    assert named | set(INTERVAL_KINDS) | set(ObjectiveKind.__args__) <= set(re.findall(r"`([\w-]+)`", NUMBERS))
    assert f"**`{DEFAULT_INTERVAL}`**, the default" in NUMBERS
    assert f"min(w, {CLIPPED_MAX_WEIGHT:g}) r" in NUMBERS
    assert f"where w is above {SWITCH_THRESHOLD:g}" in NUMBERS
    assert f"λ = {SHRINKAGE:,.0f}" in NUMBERS


def test_every_source_that_is_named_is_in_the_list():
    """A source is a name with a year: "Hall 1992"; the list has the title."""
    text, listed = NUMBERS.split("## Sources")
    known = set(re.findall(r"^- .*?(\w+)(?: et al\.)? (\d{4}),", listed, flags=re.MULTILINE))
    named = set(re.findall(r"([A-Z]\w+)(?: et al\.)? ((?:19|20)\d\d)\b", text))
    assert named
    assert named <= known


def test_the_thresholds_of_verdicts_are_those_of_the_code():
    said = words(TRUST)
    assert f"With more than {target.MAX_UNSUPPORTED:.0%} of a policy's choices".replace("%", " %") in said
    assert f"Below {MIN_EFFECTIVE_SAMPLE_SIZE:g} decisions or customers the verdict" in said
    assert f"below {target.FEW_EFFECTIVE:g} the interval" in said
    assert f"with fewer than {target.MIN_EVENTS:g} the verdict" in said
    assert f"with fewer than {target.FEW_EVENTS:g} there is a doubt" in said
    assert f"more than {target.MAX_CUSTOMER_SHARE:.0%} of the whole weight".replace("%", " %") in said
    rows = set(re.findall(r"^\| (better|worse|no difference found|cannot tell) \|", TRUST, flags=re.MULTILINE))
    assert rows == GATE.keys() - {"the baseline"}


def test_policies_and_their_settings_are_those_of_the_code():
    for form in re.findall(r"(?:^|[ (\"])([a-z][a-z-]*)(?=[,: ]|$)", ONE_POLICY_FORMS):
        if form != "or":
            assert f"`{form}" in HOW, form
    settings = inspect.signature(bandit.ThompsonSampling).parameters
    assert f"among {settings['draws'].default} draws" in HOW
    assert f"a floor of {settings['floor'].default:.0%}".replace("%", " %") in HOW


def test_the_fields_of_the_health_check_are_there():
    named = set(re.findall(r"`(\w+)` (?:says|counts|what|how)", words(OPERATIONS)))
    assert named == {"well", "faults", "spooled", "lag"}
    assert all(hasattr(EngineStatus, name) for name in named)


@pytest.mark.parametrize(
    "limit",
    [
        f"| an error message | {MAX_MESSAGE:,} characters",
        f"| {MAX_TOML_BYTES // 1_000_000} MB; {MAX_WINDOW_DAYS:,} days |",
        f"| {MAX_COMBINATIONS // 1_000_000} million combinations, {MAX_DIMENSIONS:,} dimensions; names of {MAX_NAME:,}",
        f"| {MAX_LENGTH:,} characters, {MAX_DEPTH} parts or brackets",
        f"| {MAX_TEXT:,} characters; years",
        f"| lines of {MAX_LINE >> 20} MiB, fields of 131,072 characters, {MAX_FILE_COLUMNS:,} columns",
        f"| lines of {MAX_EVENT >> 20} MiB |",
        f"at most {MAX_BITS} bits |",
        f"every `learn` took at most {MAX_STEP_OUTCOMES:,} outcomes",
    ],
)
def test_a_limit_is_that_of_the_code(limit):
    assert limit in words(OPERATIONS)
