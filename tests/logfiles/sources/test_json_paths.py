"""Paths through JSON: objects, lists of objects, lists of texts, names with dots and values within names."""

import json

import pytest

from bandit.logfiles.sources.json_paths import (
    NotListedText,
    UnusableValueError,
    json_object,
    leaf_paths,
    scalar_text,
    value_at,
)


def text_at(tree, path):
    """The text at a path, None where nothing stands there."""
    raw = value_at(json_object(json.dumps(tree).encode()), path, path)
    return None if raw is None else scalar_text(raw, path)


@pytest.mark.parametrize(
    ("tree", "path", "text"),
    [
        ({"a": {"b": {"c": 1.5}}}, "a.b.c", "1.5"),
        ({"a": [{"b": "x"}, {"c": True}]}, "a.c", "true"),
        ({"a": [[{"b": {"c": "deep"}}]]}, "a.b.c", "deep"),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.1.b", "2"),
        ({"a": [{"b": 1}, {"b": 1}]}, "a.b", "1"),
        ({"a": ["x", "y"]}, "a.y", "true"),
        ({"a": ["x", "y"]}, "a.0", "x"),
        ({"a": ["k=v", "y"]}, "a.k", "v"),
        ({"a": {"k=v": 1, "k=w": 0}}, "a.k", "v"),
        ({"a": {"k=v": 0}}, "a.k", ""),
        ({"a.b": {"c.d": 7}}, "a.b.c.d", "7"),
        ({"a": {"b.c": 7}, "a.b": 1}, "a.b.c", "7"),
        ({"a": {"gold": 1, "basic": 0}}, "a", "gold"),
        ({"a": ["one"]}, "a", "one"),
        ({"a": []}, "a", ""),
        ({"a": None}, "a", ""),
        ({"a": 1}, "a.b", None),
        ({"a": [1, 2]}, "a.2", None),
        ({"a": []}, "a.x", None),
        ({}, "a.b", None),
    ],
)
def test_a_path_finds_one_value(tree, path, text):
    assert text_at(tree, path) == text


def test_a_text_that_a_list_does_not_have_is_false_and_not_found():
    """False is an answer about the row, and no sign that the path is right."""
    found = text_at({"a": ["x"]}, "a.z")
    assert found == "false"
    assert isinstance(found, NotListedText)


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        ({"a": [{"b": 1}, {"b": 2}]}, "a.b", "2 times in a list"),
        ({"a": ["k=v", "k=w"]}, "a.k", '2 values of "a.k"'),
        ({"a": [1, 2]}, "a", "list of 2 values"),
        ({"a": {"x": 1, "y": 1}}, "a", '2 features in "a"; name the one to read, as "a.NAME"'),
        ({"a": {"x": "gold"}}, "a", 'has a feature with features of its own in "a"; name it, as "a.NAME"'),
    ],
)
def test_what_is_more_than_one_value_is_refused(tree, path, words):
    with pytest.raises(UnusableValueError, match=words):
        text_at(tree, path)


def test_the_paths_of_a_tree_are_those_of_its_values():
    tree = {"a": {"b": 1, "c": [{"d": 2}, {"e": None}]}, "f": ["x", "y"], "g": "h"}
    assert list(leaf_paths(json_object(json.dumps(tree).encode()))) == ["a.b", "a.c.d", "a.c.e", "f", "g"]
