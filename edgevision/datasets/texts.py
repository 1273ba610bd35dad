"""Text files of data sets, read so that whatever is wrong in one can be told with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import yaml

from edgevision.errors import DatasetError
from edgevision.types import FloatArray

MOST = 1e9  # no picture is so large; the square of what is larger does not fit a float32
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def read_text(file: Path) -> str:
    """The file as UTF-8 text, without a byte order mark.

    Raises:
        DatasetError: It cannot be read or is no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DatasetError(f"{file}: is not UTF-8 text") from exc


def lines_of(file: Path) -> list[tuple[str, str]]:
    """(``file:line``, text) of every line that is not blank."""
    lines = enumerate(read_text(file).splitlines(), start=1)
    return [(f"{file}:{number}", line.strip()) for number, line in lines if line.strip()]


def read_json(file: Path) -> Any:  # noqa: ANN401 - JSON is anything
    """Parsed JSON.

    Raises:
        DatasetError: With the line, when it is malformed.
    """
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as exc:
        raise DatasetError(f"{file}:{exc.lineno}: is not valid JSON: {exc.msg}") from exc
    except RecursionError as exc:
        raise DatasetError(f"{file}: is nested too deeply") from exc
    except ValueError as exc:  # Python refuses integers of thousands of digits
        raise DatasetError(f"{file}: is not valid JSON: {str(exc).partition(';')[0]}") from exc


def read_yaml(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A YAML mapping and the line of each of its keys; nothing in it is replaced or executed.

    Raises:
        DatasetError: With the line, when it is malformed or no mapping.
    """
    text = read_text(file)
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise DatasetError(f"{file}:{line}: is not valid YAML: it has the character {unprintable.group()!r}")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise DatasetError(f"{file}: is no mapping with keys such as `train` and `names`")
        for mapping in (node, *(value for _, value in node.value if isinstance(value, yaml.MappingNode))):
            _no_key_twice(file, mapping)
        lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
        return {str(key): value for key, value in loader.construct_document(node).items()}, lines
    except yaml.MarkedYAMLError as exc:
        where = f"{file}:{exc.problem_mark.line + 1}" if exc.problem_mark else str(file)
        raise DatasetError(f"{where}: is not valid YAML: {exc.problem}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        reason = str(exc).partition("\n")[0]
        raise DatasetError(f"{file}: is not valid YAML: {reason}") from exc
    finally:
        loader.dispose()


def _no_key_twice(file: Path, node: yaml.MappingNode) -> None:
    """PyYAML takes the last of equal keys and says nothing, so a class would be lost."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            raise DatasetError(f"{file}:{line}: the key {name!r} is given twice, first in line {seen[name]}")
        seen[name] = line


@dataclass(slots=True)
class Element:
    """An XML element.

    Attributes:
        tag: Its name.
        line: Where it begins, from 1.
        text: Its own text.
        children: Elements in it.
    """

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Children of that name."""
        return [child for child in self.children if child.tag == tag]

    def get(self, *path: str) -> str:
        """Text of the first child at ``path``, stripped; empty when there is none."""
        found: Element | None = self
        for tag in path:
            found = next((child for child in found.children if child.tag == tag), None) if found else None
        return found.text.strip() if found else ""


def read_xml(file: Path) -> Element:
    """Root of an XML file. A file that declares entities is refused, so none is ever expanded or fetched.

    Raises:
        DatasetError: With the line, when it is malformed.
    """
    parser, root = expat.ParserCreate(), Element("", 0)
    open_elements = [root]

    def start(tag: str, _: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def text(data: str) -> None:
        open_elements[-1].text += data

    def entity(*_: object) -> None:
        raise DatasetError(f"{file}:{parser.CurrentLineNumber}: declares an XML entity, which is refused")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(file.read_bytes(), True)  # noqa: FBT003 - expat takes no keyword
    except expat.ExpatError as exc:
        raise DatasetError(f"{file}:{exc.lineno}: is not valid XML: {expat.ErrorString(exc.code)}") from exc
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be read: {exc.strerror}") from exc
    except (LookupError, ValueError) as exc:  # expat knows no encodings of several bytes, such as GB2312
        raise DatasetError(f"{file}:1: has an encoding that is not read, store it as UTF-8: {exc}") from exc
    return root.children[0]


def numbers(words: Sequence[object]) -> list[float] | None:
    """The words, or what JSON holds, as numbers; ``None`` when one is none or beyond any picture (``MOST``)."""
    if any(isinstance(word, bool) or not isinstance(word, str | int | float) for word in words):
        return None
    try:
        values = [float(word) for word in words]  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return values if all(abs(value) < MOST for value in values) else None


def decimals(xyxy: FloatArray) -> list[list[float]]:
    """The boxes with the fewest digits that are read as the same float32 again: 10.1, not 10.100000381."""
    return [[float(text) for text in row] for row in xyxy.astype(np.float32).astype(str)]


def plain(value: float, digits: int = 9) -> str:
    """A coordinate as text, none of its decimals where it is whole. Nine of them give back the float32 pixels."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def class_names(names: Sequence[Any], where: str) -> tuple[str, ...]:
    """Names of classes as text.

    Raises:
        DatasetError: There is none, or one is given twice or empty.
    """
    strange = next((name for name in names if isinstance(name, bool) or not isinstance(name, str | int | float)), "")
    if strange != "":
        hint = "; write yes, no, on, off and null in quotes" if isinstance(strange, bool | None) else ""
        raise DatasetError(f"{where}: {str(strange)[:60]!r} is no class name{hint}")
    out = tuple(str(name).strip() for name in names)
    broken = next((name for name in out if _CONTROL.search(name)), None)
    if broken is not None:
        raise DatasetError(f"{where}: the class name {broken!r} has a line break or another control character")
    twice = next((name for index, name in enumerate(out) if name in out[:index]), None)
    if not out or "" in out:
        raise DatasetError(f"{where}: {'a class has no name' if out else 'there are no class names'}")
    if twice is not None:
        raise DatasetError(f"{where}: the class {twice!r} is given twice")
    return out


def class_file(file: Path) -> tuple[str, ...]:
    """Class names, one a line.

    Raises:
        DatasetError: There is none, or one is given twice or empty.
    """
    seen: dict[str, str] = {}
    for number, line in enumerate(read_text(file).rstrip().splitlines(), start=1):
        where, name = f"{file}:{number}", line.strip()
        if not name:  # left out it would shift the numbers of those that follow
            raise DatasetError(f"{where}: a class has no name")
        if name in seen:
            raise DatasetError(f"{where}: the class {name!r} is given twice, first in {seen[name]}")
        seen[name] = where
    return class_names(list(seen), str(file))
