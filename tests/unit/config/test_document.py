"""YAML with line numbers and secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.config.document import dotted, read_document
from edgevision.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "site: a\ncameras:\n  door:\n    tags:\n      - x\n      - y: 1\n")
    document = read_document(file)
    assert document.data == {"site": "a", "cameras": {"door": {"tags": ["x", {"y": 1}]}}}
    assert document.where(("cameras", "door")) == f"{file}:3"
    assert document.where(("cameras", "door", "tags", 1, "y")) == f"{file}:6"
    assert document.where(("cameras", "door", "missing", "deeper")) == f"{file}:3"


def test_references_are_filled_in_and_numbers_stay_numbers(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pa$$: word\n", encoding="utf-8")
    text = (
        "a: ${PORT}\nb: x-${NAME}-y\nc: ${MISSING:-7}\nd: ${file:secret}\ne: '${PORT}'\nf: costs $$5\ng: ${MISSING:-}\n"
    )
    document = read_document(written(tmp_path, text), {"PORT": "1883", "NAME": "n"})
    assert document.data == {
        "a": 1883, "b": "x-n-y", "c": 7, "d": "pa$$: word", "e": "1883", "f": "costs $5", "g": "",
    }  # fmt: skip
    assert document.problems == []


def test_missing_references_are_problems_with_their_line(tmp_path: Path) -> None:
    file = written(tmp_path, "a: 1\nb: ${NOPE}\nc: ${file:nope}\n")
    problems = [str(problem) for problem in read_document(file, {}).problems]
    assert problems[0].startswith(f"{file}:2: b: the environment variable NOPE is not set")
    assert problems[1].startswith(f"{file}:3: c: the secret's file nope cannot be read")


def test_a_key_given_twice_is_a_problem(tmp_path: Path) -> None:
    file = written(tmp_path, "a:\n  b: 1\n  c: 2\n  b: 3\n")
    (problem,) = read_document(file).problems
    assert str(problem) == f"{file}:4: a.b: is given twice; the first one is in line 2"


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    text = "base: &base {x: 1, y: 2}\nother:\n  <<: *base\n  y: 3\n"
    document = read_document(written(tmp_path, text))
    assert document.data["other"] == {"x": 1, "y": 3}
    assert document.problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", ":2: is not valid YAML"),
        ("", "is empty; it must start with keys"),
        ("- a\n- b\n", "is a list; it must start with keys"),
        ("hello\n", "is plain text; it must start with keys"),
        ("a: \x01\n", "is not valid YAML"),
        ("a: &a [*a]\n", "nested too deep, or an alias stands within"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\n", "nested too deep"),
    ],
)
def test_broken_files_are_refused_with_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("!!bool perhaps", "cannot be read: it is no bool"),
        ("!!timestamp soon", "cannot be read: it is no timestamp"),
        ("!!int ''", "cannot be read: it is no int"),
        ("{<<: 3}", "cannot be merged: expected a mapping"),
        ('"${file:a\\0b}"', "cannot be read: embedded null byte"),
    ],
)
def test_what_yaml_cannot_make_a_value_of_is_a_problem_with_its_line(tmp_path: Path, value: str, message: str) -> None:
    file = written(tmp_path, f"b: 1\na: {value}\n")
    (problem,) = read_document(file).problems
    assert str(problem).startswith(f"{file}:2: a: ")
    assert message in str(problem)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_document(tmp_path)
    (tmp_path / "latin").write_bytes(b"a: \xe4\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_document(tmp_path / "latin")


def test_dotted_paths() -> None:
    assert dotted(("cameras", "door", "analyses", 0, "lines")) == "cameras.door.analyses[0].lines"
    assert dotted(()) == ""
