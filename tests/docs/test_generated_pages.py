"""The generated pages are up to date, whole, and every example on them is one that the code takes."""

import re
import tomllib
import typing

import msgspec
import pytest
from msgspec import inspect as structure

from bandit import Catalogue, SegmentRules
from bandit.catalogue.condition_syntax import _SIGNS
from bandit.catalogue.file_tables import CatalogueFile
from bandit.catalogue.group_schema import SegmentRulesFile
from bandit.catalogue.schema import SETTINGS_AMONG_FACTS, _gather_attributes
from bandit.logfiles import LogMapping
from bandit.logfiles.mapping.schema import LookupSection, MappingDocument, OptionSource
from tests.docs import regenerate
from tests.docs.reference import cli_page, conditions_page, file_keys, file_pages, python_pages

ROOTS = (CatalogueFile, SegmentRulesFile, MappingDocument, OptionSource, LookupSection)


@pytest.mark.parametrize("path", regenerate.PAGES)
def test_a_generated_page_is_up_to_date(path):
    assert not regenerate.out_of_date(path), f"{path} is out of date: run `make reference`"


def test_every_page_of_the_reference_is_generated():
    folder = regenerate.ROOT / "docs" / "reference"
    there = {path.relative_to(regenerate.ROOT).as_posix() for path in folder.rglob("*.md")}
    assert there == {path for path in regenerate.PAGES if path.startswith("docs/reference/")}


# The three files.


def fields():
    return [
        pytest.param(cls, each, id=f"{cls.__name__}.{each.name}")
        for cls in file_keys.structures(ROOTS)
        for each in structure.type_info(cls).fields
    ]


@pytest.mark.parametrize(("cls", "each"), fields())
def test_every_example_of_a_key_fits_its_type(cls, each):
    hint = typing.get_type_hints(cls)[each.name]
    _, examples = file_keys.described(each.type)
    for example in examples:
        msgspec.convert(example, hint)
        assert tomllib.loads(f"key = {file_keys.toml_value(example)}") == {"key": example}


def test_a_key_without_a_description_or_a_heading_is_found():
    """The negative control: a new field and a new table, as somebody might add them."""

    class _New(msgspec.Struct):
        key: str = ""

    with pytest.raises(LookupError, match=r"_New\.key has no"):
        file_keys.tables([_New], {_New: file_keys.Section("New", "A table.")})
    with pytest.raises(KeyError, match="_New has no heading"):
        file_keys.tables([_New], {})


def read_example(name):
    return tomllib.loads((file_pages.EXAMPLES / name).read_text(encoding="utf-8"))


def as_structure(catalogue):
    """A catalogue's content with its free keys where the structure has them: options, and settings of [context]."""
    for name in SETTINGS_AMONG_FACTS:
        catalogue[name] = catalogue["context"].pop(name)
    return catalogue | {"dimensions": _gather_attributes(catalogue["dimensions"])}


def test_the_examples_are_read_and_have_every_key():
    """A file that is shown as complete has every key; keys of a mapping that exclude each other are in several."""
    folder = file_pages.EXAMPLES
    catalogue = Catalogue.from_toml(folder / "catalogue.toml")
    SegmentRules.from_toml(catalogue, folder / "rules.toml")
    for name in ("mapping.toml", "mapping_campaigns.toml", "mapping_events.toml", "mapping_table.toml"):
        LogMapping.from_toml(folder / name)
    content = as_structure(read_example("catalogue.toml"))
    # A stored catalogue alone says with which key its facts are hashed.
    assert file_keys.unused_keys([CatalogueFile], [(CatalogueFile, content)]) == {("FactFile", "hashed_with")}
    assert file_keys.unused_keys([SegmentRulesFile], [(SegmentRulesFile, read_example("rules.toml"))]) == set()
    columns, campaigns = read_example("mapping.toml"), read_example("mapping_campaigns.toml")
    parts = [(MappingDocument, columns), (MappingDocument, campaigns), (LookupSection, campaigns["offer"])]
    parts += [(OptionSource, source) for source in columns["offer"].values()]
    parts += [(MappingDocument, read_example(name)) for name in ("mapping_events.toml", "mapping_table.toml")]
    assert file_keys.unused_keys([MappingDocument, OptionSource, LookupSection], parts) == set()


def test_a_key_that_an_example_leaves_out_is_found():
    """The negative control: three mappings have no table of whole offers and no propensity by offer."""
    names = ("mapping.toml", "mapping_events.toml", "mapping_table.toml")
    parts = [(MappingDocument, read_example(name)) for name in names]
    assert file_keys.unused_keys([MappingDocument, LookupSection], parts) == {
        ("LookupSection", "column"), ("LookupSection", "lookup"), ("PropensitySection", "value"),
        ("PropensitySection", "offer"), ("MappingDocument", "propensity"), ("ColumnsSection", "row_customer"),
    }  # fmt: skip


def test_the_examples_fit_each_other(tmp_path):
    """The rules' file can be named from the catalogue, as its page says: under groups and under roll-out."""
    text = (file_pages.EXAMPLES / "catalogue.toml").read_text(encoding="utf-8")
    text = re.sub(r"^rules = \{ otherwise.*$", 'from = "rules.toml"', text, flags=re.MULTILINE)
    (tmp_path / "rules.toml").write_bytes((file_pages.EXAMPLES / "rules.toml").read_bytes())
    (tmp_path / "catalogue.toml").write_text(text, encoding="utf-8")
    assert Catalogue.from_toml(tmp_path / "catalogue.toml").file.rollout.rules.name == "spring rules"


# The condition language.


def test_the_examples_have_every_operator_and_say_for_whom_they_are_true():
    """Every sign of the whitelist is in an example; a few results are checked by hand, among them what is missing."""
    words = {
        word for text, _ in conditions_page.EXAMPLES for word in re.findall(r"not in|[a-z]+|[^\w\s'.,()\[\]]+", text)
    }
    assert set(_SIGNS.values()) <= words
    assert conditions_page.met_by("not loyal") == ["Bo", "Dan"]
    assert conditions_page.met_by("gender != 'f'") == ["Bo", "Cleo", "Dan"]
    assert conditions_page.met_by("recency < 6") == ["Anna"]


def test_what_is_shown_as_refused_is_refused():
    assert all(map(conditions_page.refusal, conditions_page.REFUSED))
    with pytest.raises(ValueError, match="loyal is not refused"):
        conditions_page.refusal("loyal")


# The command line.


def test_every_command_has_a_section_with_all_its_options_and_an_example_of_itself():
    page = cli_page.cli_page()
    for words, command in cli_page.commands().items():
        (section,) = re.findall(rf"^## {words}\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
        for parameter in command.params:
            if parameter.name != "help" and not getattr(parameter, "hidden", False):
                shown = (
                    parameter.opts[0]
                    if parameter.opts[0].startswith("-")
                    else parameter.metavar or parameter.name.upper()
                )
                assert f"| `{shown}" in section, (words, parameter.name)
        if not hasattr(command, "commands"):
            assert f"```sh\noffer-bandit {words} " in section, words


def test_marks_of_markdown_are_escaped_outside_of_code():
    assert cli_page.escaped("a *b* `*c*` <d> |") == "a \\*b\\* `*c*` \\<d> \\|"


# The Python interface.


def test_every_public_name_has_a_sentence_and_a_place():
    names = [(module, name) for module, names in python_pages.offered().items() for name in names]
    assert len(names) > 250
    texts = {}
    for module, name in names:
        assert python_pages.summary(module, name)
        page = python_pages.page_of(module)
        if page not in texts:
            texts[page] = (regenerate.ROOT / page).read_text(encoding="utf-8")
        assert f"`{name}`" in texts[page], f"{module}.{name}"
    for module, name in set(python_pages.documented_at().values()):
        if name != "ope":  # a module, which has sections of its own
            assert re.search(rf":: {module}\.{name}$", texts[python_pages.page_of(module)], flags=re.MULTILINE)


def test_what_the_pages_import_is_public():
    """`from bandit.x import y` in a page is of a module that the reference has."""
    known = python_pages.offered()
    pages = [*(regenerate.ROOT / "docs").rglob("*.md"), regenerate.ROOT / "README.md"]
    for path in pages:
        for module in re.findall(r"^from (bandit[\w.]*) import", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert module in known, f"{path} imports from {module}, which no page of the reference has"


def test_a_name_without_a_docstring_is_found(monkeypatch):
    """The negative control: a class that says nothing of itself, though its base does."""

    class _Silent(Catalogue):
        pass

    monkeypatch.setattr("bandit.catalogue.Silent", _Silent, raising=False)
    with pytest.raises(LookupError, match=r"bandit\.catalogue\.Silent has no docstring"):
        python_pages.summary("bandit.catalogue", "Silent")
