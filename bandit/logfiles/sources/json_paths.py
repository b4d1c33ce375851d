"""Values of JSON by a path with dots, through objects, lists of objects and lists of texts; only what is asked for.

`User.tier` finds 1 in `{"User": {"tier": 1}}` and in `{"User": [{"tier": 1}, {"age": 3}]}`, as loggers write
namespaces; `tags.1` is the second element of a list; `tags.gold` is true where a list of texts has "gold", and false
where it has not. `User.tier` is "gold" in `{"User": {"tier=gold": 1}}` and in `{"User": ["tier=gold"]}` too, the way
features are written by their names. A name may itself have dots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

import msgspec

JsonObject: TypeAlias = Mapping[str, msgspec.Raw]
"""An object whose values are not decoded yet."""

NOT_LISTED = msgspec.Raw(b"false")
"""The value of a text that a list of texts does not have; recognised by identity, since it is no value of the file."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TRUE, _NULL = msgspec.Raw(b"true"), msgspec.Raw(b"null")
_OFF = frozenset({b"0", b"0.0", b"false", b"null"})
_OPEN_OBJECT, _OPEN_LIST, _QUOTE = b'{["'
_MOST_NAMES = 2_000


class NotListedText(str):
    """The text of `NOT_LISTED`: "false", and no sign that the path is in the file."""

    __slots__ = ()


class UnusableValueError(Exception):
    """A value that is not one text or number; the message continues "line 7"."""


def json_object(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return an object; msgspec.DecodeError where it is none."""
    return _OBJECT.decode(raw)


def json_list(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the elements of a list; msgspec.DecodeError where it is none."""
    return _LIST.decode(raw)


def is_object(raw: msgspec.Raw) -> bool:
    """Return whether a value is an object."""
    return memoryview(raw)[0] == _OPEN_OBJECT


def is_list(raw: msgspec.Raw) -> bool:
    """Return whether a value is a list."""
    return memoryview(raw)[0] == _OPEN_LIST


def value_at(node: JsonObject, path: str, column: str) -> msgspec.Raw | None:
    """Return what stands at a path below an object, None where nothing does.

    `column` is for messages: UnusableValueError where several elements of a list have the path.
    """
    found = node.get(path)
    if found is not None:
        return found
    dot = path.find(".")
    while dot >= 0:
        inner = node.get(path[:dot])
        if inner is not None and (found := _value_in(inner, path[dot + 1 :], column)) is not None:
            return found
        dot = path.find(".", dot + 1)
    return _named_feature(node, path, column)


def scalar_text(raw: msgspec.Raw | None, column: str) -> str:
    """Return a value as text: a number as it is written, a blank for null and for an empty list or object.

    An object with one feature that is on (`{"gold": 1}`) is the name of that feature, a list of one element is that
    element; UnusableValueError for more of them.
    """
    if raw is None:
        return ""
    if raw is NOT_LISTED:
        return NotListedText("false")
    first = memoryview(raw)[0]
    if first == _QUOTE:
        return cast("str", msgspec.json.decode(raw))
    if first == _OPEN_OBJECT:
        return _only_feature(json_object(raw), column)
    if first == _OPEN_LIST:
        elements = json_list(raw)
        if len(elements) > 1:
            raise UnusableValueError(
                f'has a list of {len(elements):,} values in "{column}"; name one by its place, as "{column}.0"'
            )
        return scalar_text(elements[0], column) if elements else ""
    text = bytes(raw)
    return "" if text == b"null" else text.decode()


def leaf_paths(node: JsonObject, prefix: str = "") -> Iterator[str]:
    """Yield the paths of the values below an object, those inside of lists of objects without the elements' numbers."""
    for name, raw in node.items():
        yield from _leaves(raw, f"{prefix}{name}")


def _leaves(raw: msgspec.Raw, path: str) -> Iterator[str]:
    if is_object(raw):
        yield from leaf_paths(json_object(raw), f"{path}.")
    elif is_list(raw):
        objects = [each for each in json_list(raw)[:_MOST_NAMES] if is_object(each)]
        for each in objects:
            yield from leaf_paths(json_object(each), f"{path}.")
        if not objects:
            yield path
    else:
        yield path


def _value_in(raw: msgspec.Raw, path: str, column: str) -> msgspec.Raw | None:
    """Return what stands at a path below a value of any kind, None where nothing does."""
    if is_object(raw):
        return value_at(json_object(raw), path, column)
    if is_list(raw):
        return _value_in_list(json_list(raw), path, column)
    return None


def _value_in_list(elements: Sequence[msgspec.Raw], path: str, column: str) -> msgspec.Raw | None:
    head, _, rest = path.partition(".")
    if head.isdecimal() and len(head) < 10 and int(head) < len(elements):
        element = elements[int(head)]
        return _value_in(element, rest, column) if rest else element
    found = [value for each in elements if (value := _value_in(each, path, column)) is not None]
    found = [value for value in found if value is not NOT_LISTED] or found[:1]
    if len({bytes(value) for value in found}) > 1:
        raise UnusableValueError(
            f'has "{column}" {len(found)} times in a list; name one by its place in the list, as 0 for the first'
        )
    if found:
        return found[0]
    texts = [cast("str", msgspec.json.decode(each)) for each in elements if memoryview(each)[0] == _QUOTE]
    if not texts:
        return None
    if path in texts:
        return _TRUE
    named = [text.partition("=")[2] for text in texts if text.startswith(f"{path}=")]
    return _one_of(named, column) if named else NOT_LISTED


def _named_feature(node: JsonObject, path: str, column: str) -> msgspec.Raw | None:
    """Return the value in the name of a feature that is on, as in `{"tier=gold": 1}`; None where no name has it."""
    start = f"{path}="
    named = {name[len(start) :]: raw for name, raw in node.items() if name.startswith(start)}
    if not named:
        return None
    return _one_of([value for value, raw in named.items() if bytes(raw) not in _OFF], column)


def _one_of(values: Sequence[str], column: str) -> msgspec.Raw:
    if len(values) > 1:
        raise UnusableValueError(f'has {len(values)} values of "{column}"')
    return msgspec.Raw(msgspec.json.encode(values[0])) if values else _NULL


def _only_feature(features: JsonObject, column: str) -> str:
    """Return the name of the only feature that is on."""
    on = [name for name, raw in features.items() if bytes(raw) not in _OFF]
    if len(on) > 1:
        raise UnusableValueError(f'has {len(on)} features in "{column}"; name the one to read, as "{column}.NAME"')
    if on and memoryview(features[on[0]])[0] in b'"{[':
        raise UnusableValueError(f'has a feature with features of its own in "{column}"; name it, as "{column}.NAME"')
    return on[0] if on else ""
