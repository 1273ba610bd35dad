"""A YAML file as plain data, where every value still knows its line and secrets are filled in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgevision.errors import ConfigError, Problem

Key = str | int
KeyPath = tuple[Key, ...]

_MERGE = "tag:yaml.org,2002:merge"
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[^}]*)\}")


@dataclass(slots=True)
class Document:
    """A parsed file.

    Attributes:
        file: Where it came from.
        data: Mappings, lists and scalars; ``${...}`` references replaced.
        lines: Line (from 1) of every value by its path; a key's own line for mappings' members.
        problems: What was wrong while reading, in the order of the file.
    """

    file: Path
    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: KeyPath) -> str:
        """``file:line`` of the value at ``path``, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return f"{self.file}:{line}"
        return str(self.file)

    def problem(self, path: KeyPath, message: str) -> None:
        """Note something wrong with the value at ``path``."""
        self.problems.append(Problem(self.where(path), dotted(path), message))


def dotted(path: KeyPath) -> str:
    """``("cameras", "door", "analyses", 0)`` as ``cameras.door.analyses[0]``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else (f".{key}" if text else key)
    return text


def read_document(file: Path, environ: Mapping[str, str] | None = None) -> Document:
    """Parse a settings file.

    ``${NAME}`` is replaced by the environment variable, ``${NAME:-default}`` falls back, ``${file:/run/secrets/x}`` by
    the content of a file without its last newline, ``$$`` by a dollar sign. A value that is nothing but one reference
    is parsed again as YAML, so numbers stay numbers.

    Raises:
        ConfigError: The file cannot be read or is no YAML mapping.
    """
    document = Document(file)
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError([Problem(str(file), "", f"cannot be read: {reason}")]) from exc
    except yaml.YAMLError as exc:
        mark = exc.problem_mark if isinstance(exc, yaml.MarkedYAMLError) else None
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        reason = exc.problem if isinstance(exc, yaml.MarkedYAMLError) else str(exc).partition("\n")[0]
        raise ConfigError([Problem(where, "", f"is not valid YAML: {reason}")]) from exc
    except RecursionError as exc:
        raise _too_deep(file) from exc
    if not isinstance(root, yaml.MappingNode):
        what = "is empty" if root is None else "is a list" if isinstance(root, yaml.SequenceNode) else "is plain text"
        raise ConfigError([Problem(str(file), "", f"{what}; it must start with keys such as `site:`")])
    try:
        document.data = _Reader(document, os.environ if environ is None else environ).value(root, ())
    except RecursionError as exc:
        raise _too_deep(file) from exc
    return document


def _too_deep(file: Path) -> ConfigError:
    return ConfigError([Problem(str(file), "", "is nested too deep, or an alias stands within what it stands for")])


class _Reader:
    """Turns YAML nodes into plain data and notes where each came from."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self._constructor = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401 - YAML is anything
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style is None and _REFERENCE.fullmatch(node.value):
            return self._whole_reference(node, path)
        value = self._construct(node, path)
        return self._expand(value, path) if isinstance(value, str) else value

    def _construct(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401 - YAML is anything
        try:
            return self._constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as exc:
            text = exc.problem if isinstance(exc, yaml.MarkedYAMLError) else str(exc)
        except (LookupError, AttributeError):  # how PyYAML says that `!!bool perhaps` is none
            text = f"it is no {node.tag.rpartition(':')[2]}"
        self._document.problem(path, f"cannot be read: {text}")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        self._refuse_twins(node, path)
        if any(key.tag == _MERGE for key, _ in node.value):
            try:
                self._constructor.flatten_mapping(node)
            except yaml.MarkedYAMLError as exc:
                self._document.problem(path, f"cannot be merged: {exc.problem}")
                return {}
        out: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = str(self._construct(key_node, path))
            self._document.lines[(*path, key)] = key_node.start_mark.line + 1
            out[key] = self.value(value_node, (*path, key))
        return out

    def _refuse_twins(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in first:
                here = (*path, key_node.value)
                message = f"is given twice; the first one is in line {first[key_node.value]}"
                self._document.problems.append(Problem(f"{self._document.file}:{line}", dotted(here), message))
            first.setdefault(key_node.value, line)

    def _whole_reference(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401 - YAML is anything
        text = self._expand(node.value, path)
        try:
            parsed = yaml.safe_load(text)
        except yaml.YAMLError:
            return text
        return parsed if isinstance(parsed, bool | int | float) else text

    def _expand(self, text: str, path: KeyPath) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match.group("name")
            if name is None:
                return "$"
            return self._file(name[5:], path) if name.startswith("file:") else self._variable(name, path)

        return _REFERENCE.sub(replace, text)

    def _variable(self, name: str, path: KeyPath) -> str:
        name, has_default, default = name.partition(":-")
        value = self._environ.get(name)
        if value is None and not has_default:
            self._document.problem(
                path, f"the environment variable {name} is not set (`${{{name}:-default}}` falls back)"
            )
            return ""
        return default if value is None else value

    def _file(self, name: str, path: KeyPath) -> str:
        try:
            return (self._document.file.parent / name).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            if isinstance(exc, UnicodeDecodeError):  # its words would quote the secret
                reason = "it is not UTF-8 text"
            self._document.problem(path, f"the secret's file {name} cannot be read: {reason}")
            return ""
