"""Text files of any quality: what is wrong is told with file and line, and nothing is executed or expanded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.datasets.texts import (
    class_file,
    class_names,
    decimals,
    lines_of,
    numbers,
    plain,
    read_json,
    read_xml,
    read_yaml,
)
from edgevision.errors import DatasetError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train: images\nnames: [a\n", r"f:3: is not valid YAML"),
        ("train: images\nnames: [a\0]\n", r"f:2: is not valid YAML: it has the character '\\x00'"),
        ("names:\n  0: a\n  1: b\n  1: c\n", r"f:4: the key '1' is given twice, first in line 3"),
        ("train: a\nval: b\ntrain: c\n", r"f:3: the key 'train' is given twice, first in line 1"),
        ("- a\n", r"f: is no mapping"),
        ("", r"f: is no mapping"),
        ("names: !!python/object/apply:os.system [true]\n", r"f:1: is not valid YAML"),
        ("a: *nowhere\n", r"f:1: is not valid YAML: found undefined alias"),
        ("{" * 5000, r"f: is not valid YAML|f:1: is not valid YAML"),
    ],
)
def test_malformed_yaml(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match=says):
        read_yaml(tmp_path / "f")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": [\n1,\n]}', r"f:3: is not valid JSON"),
        ("", r"f:1: is not valid JSON"),
        ("[" * 100_000, r"f: is nested too deeply"),
        ("9" * 5000, r"f: is not valid JSON: Exceeds the limit"),
    ],
)
def test_malformed_json(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match=says):
        read_json(tmp_path / "f")


LAUGHS = b'<!DOCTYPE z [\n<!ENTITY a "ha">\n' + b"".join(
    b'<!ENTITY %c "%s">\n' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"<a>\n<b>\n</a>", r"f:3: is not valid XML: mismatched tag"),
        (b"", r"f:1: is not valid XML"),
        (b"<a>&nowhere;</a>", r"f:1: is not valid XML"),
        (LAUGHS + b"]>\n<z>&j;</z>", r"f:2: declares an XML entity, which is refused"),
        (b'<!DOCTYPE z [<!ENTITY x SYSTEM "file:///etc/passwd">]><z>&x;</z>', r"f:1: declares an XML entity"),
        (b'<!DOCTYPE z [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><z/>', r"f:1: declares an XML entity"),
        ('<?xml version="1.0" encoding="gb2312"?><a>裂纹</a>'.encode("gb2312"), r"f:1: has an encoding that is not"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', r"f:1: has an encoding that is not read"),
    ],
)
def test_malformed_xml(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "f").write_bytes(text)
    with pytest.raises(DatasetError, match=says):
        read_xml(tmp_path / "f")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_xml_in_the_encoding_that_it_declares(tmp_path: Path, encoding: str) -> None:
    named = encoding.removesuffix("-sig")
    (tmp_path / "f").write_bytes(f'<?xml version="1.0" encoding="{named}"?>\n<a><b> Riß </b></a>'.encode(encoding))
    root = read_xml(tmp_path / "f")
    assert (root.tag, root.line, root.get("b"), root.get("nowhere", "b")) == ("a", 2, "Riß", "")


def test_text_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\xfe\x00")
    for read in (lines_of, read_json, read_yaml):
        with pytest.raises(DatasetError, match="f: is not UTF-8 text"):
            read(tmp_path / "f")
    for read in (lines_of, read_xml):
        with pytest.raises(DatasetError, match="cannot be read"):
            read(tmp_path)


def test_lines_have_their_numbers_and_a_mark_of_byte_order_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa\r\n\r\n  b \r\n")
    assert lines_of(tmp_path / "f") == [(f"{tmp_path / 'f'}:1", "a"), (f"{tmp_path / 'f'}:3", "b")]


@pytest.mark.parametrize(
    "words", [["a"], ["nan"], ["inf"], ["1e300"], [None], [[1]], [True], [10**400], [{}], ["1", "2 3"]]
)
def test_what_is_no_number_of_a_picture(words: list[object]) -> None:
    assert numbers(words) is None


@given(st.floats(width=32, min_value=-1e6, max_value=1e6))
def test_a_coordinate_is_written_so_that_it_is_read_again(value: float) -> None:
    ((text, *_),) = decimals(np.full((1, 4), value, np.float32))
    assert np.float32(text) == np.float32(value)
    assert float(plain(text)) == pytest.approx(value, abs=1e-9 + abs(value) * 1e-7)
    assert "e" not in plain(text)


def test_a_coordinate_has_no_more_digits_than_it_needs() -> None:
    assert [plain(value) for row in decimals(np.float32([[10.1, 5, 0.25, -0.0]])) for value in row] == [
        "10.1", "5", "0.25", "0"]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "there are no class names"),
        (["a", ""], "a class has no name"),
        (["a", " a "], "the class 'a' is given twice"),
        ([1, "1"], "the class '1' is given twice"),
        ([False, "a"], "'False' is no class name; write yes, no"),
        ([None], "'None' is no class name"),
        ([["a"]], "is no class name"),
        (["a\nb"], "has a line break"),
    ],
)
def test_names_that_are_no_classes(names: list[object], says: str) -> None:
    with pytest.raises(DatasetError, match=f"here: .*{says}"):
        class_names(names, "here")


def test_a_class_given_twice_in_a_list_is_told_with_both_lines(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\nb\na\n", "utf-8")
    with pytest.raises(DatasetError, match=r"f:3: the class 'a' is given twice, first in .*f:1"):
        class_file(tmp_path / "f")


def test_a_blank_line_between_classes_is_told_since_it_would_shift_those_that_follow(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n \nb\n", "utf-8")
    with pytest.raises(DatasetError, match="f:2: a class has no name"):
        class_file(tmp_path / "f")
    (tmp_path / "f").write_text("a\nb\n\n \n", "utf-8")
    assert class_file(tmp_path / "f") == ("a", "b")
