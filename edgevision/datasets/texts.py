"""Text files of data sets, read so that whatever is wrong in one can be told with its line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import yaml

from edgevision.errors import DatasetError


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


def read_yaml(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A YAML mapping and the line of each of its keys; nothing in it is replaced or executed.

    Raises:
        DatasetError: With the line, when it is malformed or no mapping.
    """
    loader = yaml.SafeLoader(read_text(file))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise DatasetError(f"{file}: is no mapping with keys such as `train` and `names`")
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
    return root.children[0]


def numbers(words: Sequence[Any]) -> list[float] | None:
    """The words as finite numbers; ``None`` when one is none."""
    try:
        values = [float(word) for word in words]
    except (ValueError, TypeError, OverflowError):
        return None
    return values if all(map(math.isfinite, values)) else None


def plain(value: float) -> str:
    """A coordinate as text: up to six decimals, which float32 pixels do not need more of; none where it is whole."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def class_names(names: Sequence[Any], where: str) -> tuple[str, ...]:
    """Names of classes as text.

    Raises:
        DatasetError: There is none, or one is given twice or empty.
    """
    out = tuple(str(name).strip() for name in names)
    twice = next((name for index, name in enumerate(out) if name in out[:index]), None)
    if not out or "" in out:
        raise DatasetError(f"{where}: {'a class has no name' if out else 'there are no class names'}")
    if twice is not None:
        raise DatasetError(f"{where}: the class {twice!r} is given twice")
    return out


def class_file(file: Path) -> tuple[str, ...]:
    """Class names, one a line.

    Raises:
        DatasetError: There is none, or one is given twice.
    """
    lines = lines_of(file)
    seen: dict[str, str] = {}
    for where, name in lines:
        if name in seen:
            raise DatasetError(f"{where}: the class {name!r} is given twice, first in {seen[name]}")
        seen[name] = where
    return class_names(list(seen), str(file))
