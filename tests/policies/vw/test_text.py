from hypothesis import given

import bandit
from bandit.encoding.encoder import Encoder
from bandit.policies.vw.text import context_lines, offer_lines
from tests.policies.tools import (
    ODD_NAMES,
)


@given(ODD_NAMES)
def test_lines_have_one_bar_and_are_one_line(name):
    catalogue = bandit.Catalogue.from_dict(
        {
            "context": {"who": {"type": "categorical", "values": [name]}},
            "dimensions": [{"name": "d " + name, "options": [{"name": name}, {"name": name + "|a:9"}]}],
        }
    )
    encoder = Encoder(catalogue)
    contexts = context_lines(encoder, catalogue.contexts([{"who": name}]))
    for line in [*contexts, *offer_lines(encoder.offers.main_names, encoder.offers.main)]:
        assert line.isascii()
        assert line.count("|") == 1
        assert "\n" not in line
        assert ":" not in line
