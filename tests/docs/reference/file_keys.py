"""The keys of a TOML file as tables of Markdown, from the msgspec structures that read it.

A field's meaning and examples stand beside it as `msgspec.Meta`; names, types and defaults are those of the field. A
field without a description or an example raises, and so does a structure that has no heading.
"""

import json
from dataclasses import dataclass, field

import msgspec
from msgspec import inspect

HEAD = "| key | type | default | meaning | example |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Section:
    """The heading and first sentences of the table of one structure.

    `spelled` has the key under which a field is written where it is another, `extra` rows of keys that are replaced
    before the structure is read.
    """

    title: str
    text: str
    spelled: dict = field(default_factory=dict)
    extra: tuple = ()


def toml_value(value):
    """A plain value as TOML writes it on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return "{ " + ", ".join(f"{_key(name)} = {toml_value(inner)}" for name, inner in value.items()) + " }"


def _key(name):
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _anchor(title):
    """The anchor of a heading, as sites and Git hosts make it."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.strip().replace(" ", "-")


def _bare(kind):
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _within(words):
    return f"({words})" if "or " in words else words


def type_words(kind, sections):
    """The type of a field in words; a structure links to its section."""
    kind = _bare(kind)
    match kind:
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return "number"
        case inspect.LiteralType(values=values):
            return " or ".join(f'`"{value}"`' for value in values)
        case inspect.ListType(item_type=item):
            return f"list of {_within(type_words(item, sections))}"
        case inspect.DictType(value_type=value):
            return f"table of {_within(type_words(value, sections))}"
        case inspect.StructType(cls=cls):
            title = sections[cls].title
            return f"[table](#{_anchor(title)})"
        case inspect.UnionType(types=types):
            words = [type_words(each, sections) for each in types if not isinstance(each, inspect.NoneType)]
            return ", or ".join(dict.fromkeys(words))
    raise TypeError(f"no words for {kind}")


def structures(roots):
    """The roots and every structure that their fields lead to, each once, in order."""
    found = []

    def visit(kind):
        kind = _bare(kind)
        if isinstance(kind, inspect.StructType) and kind.cls not in found:
            found.append(kind.cls)
            for each in kind.fields:
                visit(each.type)
        for name in ("item_type", "value_type"):
            if hasattr(kind, name):
                visit(getattr(kind, name))
        for each in getattr(kind, "types", ()):
            visit(each)

    for root in roots:
        visit(inspect.type_info(root))
    return found


def described(kind):
    """The description and the examples of a field; LookupError where one is missing."""
    schema = (kind.extra_json_schema or {}) if isinstance(kind, inspect.Metadata) else {}
    if not schema.get("description", "").strip().endswith((".", "!")) or not schema.get("examples"):
        raise LookupError("has no msgspec.Meta with a description, which ends with a full stop, and examples")
    return schema["description"], schema["examples"]


def default_words(each):
    """The default of a field as TOML writes it."""
    if each.required:
        return "**required**"
    default = each.default if each.default is not msgspec.NODEFAULT else each.default_factory()
    plain = msgspec.to_builtins(default)
    return "" if plain is None or plain in ([], {}) or isinstance(plain, dict) else f"`{toml_value(plain)}`"


def row(key, words, default, meaning, example):
    """One row of the table; a vertical line would end the cell."""
    cells = [cell.replace("|", "\\|") for cell in (f"`{key}`", words, default, meaning, f"`{example}`")]
    return f"| {' | '.join(cells)} |\n"


def table(cls, sections):
    """The table of one structure."""
    section, rows = sections[cls], []
    for each in inspect.type_info(cls).fields:
        key = section.spelled.get(each.name, each.encode_name)
        try:
            meaning, examples = described(each.type)
        except LookupError as fault:
            raise LookupError(f"{cls.__name__}.{each.name} {fault}") from fault
        first = examples[0]
        example = f"{each.encode_name} = {toml_value(first)}"
        if key != each.encode_name:
            example = ", ".join(f"{name} = {toml_value(value)}" for name, value in first.items())
        rows.append(row(key, type_words(each.type, sections), default_words(each), meaning, example))
    rows += [row(*cells) for cells in section.extra]
    return HEAD + "".join(rows)


def tables(roots, sections):
    """All tables with their headings; KeyError for a structure without a heading."""
    parts = []
    for cls in structures(roots):
        if cls not in sections:
            raise KeyError(f"{cls.__name__} has no heading; add it to the page's sections")
        section = sections[cls]
        parts.append(f"## {section.title}\n\n{section.text}\n\n{table(cls, sections)}")
    return "\n".join(parts)


def unused_keys(roots, contents):
    """The (structure, key) pairs of the roots that none of the contents, plain values as read from TOML, writes."""
    unused = {(cls.__name__, each.encode_name) for cls in structures(roots) for each in inspect.type_info(cls).fields}

    def visit(kind, value):
        kind = _bare(kind)
        for each in getattr(kind, "types", ()):
            visit(each, value)
        if isinstance(kind, inspect.StructType) and isinstance(value, dict):
            for each in kind.fields:
                if each.encode_name in value:
                    unused.difference_update((cls.__name__, each.encode_name) for cls in kind.cls.__mro__)
                    visit(each.type, value[each.encode_name])
        elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
            for inner in value.values():
                visit(kind.value_type, inner)
        elif isinstance(kind, inspect.ListType) and isinstance(value, list):
            for inner in value:
                visit(kind.item_type, inner)

    for root, content in contents:
        visit(inspect.type_info(root), content)
    return unused
