"""The page on roll-out: its commands are there, and its numbers are those of the code."""

import hashlib
import re
from pathlib import Path

from bandit.catalogue.customer_numbers import customer_number
from bandit.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rollout.md").read_text(encoding="utf-8")
ROW = r"^\| `(.*)` \| `(.*)` \| `(rollout|challenger)` \| `([0-9a-f]{16})` \| (0\.\d+) \|$"


def test_its_commands_are_there():
    group = next(each.typer_instance for each in app.registered_groups if each.typer_instance.info.name == "rollout")
    inner = {command.name for command in group.registered_commands}
    assert set(re.findall(r"offer-bandit rollout ([\w-]+)", PAGE)) <= inner
    named = set(re.findall(r"offer-bandit ([\w-]+)", PAGE)) - {"rollout"}
    assert named <= {command.name for command in app.registered_commands}


def test_the_table_has_the_numbers_of_the_code():
    rows = re.findall(ROW, PAGE, flags=re.MULTILINE)
    assert len(rows) == 8
    for salt, key, person, digest, number in rows:
        made = hashlib.blake2b(key.encode(), digest_size=8, key=salt.encode(), person=person.encode()).hexdigest()
        assert made == digest
        assert float(number) == customer_number(key, salt, person.encode()) == (int(made, 16) >> 11) / 2**53
