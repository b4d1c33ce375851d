import msgspec
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.policies import build
from bandit.policies.registry import POLICY_KINDS
from tests.policies.test_policy_table import document
from tests.policies.tools import without_coupling

NOTHING = {"discount": "0", "channel": "email", "gift": "none"}


def test_an_unknown_kind_or_setting_is_refused(catalogue):
    with pytest.raises(PolicyError, match="no policy of kind"):
        build(catalogue, {"kind": "oracle"})
    with pytest.raises(PolicyError, match="setting"):
        build(catalogue, {"kind": "thompson", "width": 1.0, "depth": 3})


def test_every_kind_is_built_from_its_description():
    catalogue = bandit.Catalogue.from_dict(without_coupling())
    table = msgspec.to_builtins(document(catalogue))
    settings = {"constant": {"offer": NOTHING}, "rules": {"otherwise": NOTHING}, "table": {"table": table}}
    for kind in POLICY_KINDS:
        policy = build(catalogue, {"kind": kind, **settings.get(kind, {})})
        assert policy.spec()["kind"] == kind
