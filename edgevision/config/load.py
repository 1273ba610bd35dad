"""From a settings file to a validated model, with every problem at once."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgevision.config.daemon import DaemonSettings, Registry, daemon_model
from edgevision.config.document import Document, KeyPath, read_document
from edgevision.config.settings import RESERVED_NAMES
from edgevision.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)


def load_daemon(file: Path, registry: Registry, environ: Mapping[str, str] | None = None) -> DaemonSettings:
    """Read the daemon's settings.

    Args:
        file: The YAML file.
        registry: Which kinds of sources, backends, analyses, ... there are.
        environ: Environment for ``${NAME}``; the process' own by default.

    Raises:
        ConfigError: With all problems of the file, each with its line.
    """
    return load(file, daemon_model(registry), check=_check_daemon, environ=environ)


def load(
    file: Path,
    model: type[ModelT],
    *,
    check: Any = None,  # noqa: ANN401 - a callable (document, settings) -> None
    environ: Mapping[str, str] | None = None,
) -> ModelT:
    """Read ``file`` as ``model``; ``check(document, settings)`` may note problems between keys.

    Raises:
        ConfigError: With all problems of the file, each with its line.
    """
    document = read_document(file, environ)
    settings: ModelT | None = None
    try:
        settings = model.model_validate(document.data, context={"folder": file.parent})
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            _note(document, model, error)
    if settings is not None and check is not None:
        check(document, settings)
    if document.problems or settings is None:
        raise ConfigError(sorted(document.problems, key=lambda problem: _line(problem.where)))
    return settings


def config_revision(settings: BaseModel) -> str:
    """First 12 hex digits of the SHA-256 over the resolved settings, secrets masked."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _line(where: str) -> int:
    line = where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _check_daemon(document: Document, settings: DaemonSettings) -> None:
    for name, camera in settings.cameras.items():
        path: KeyPath = ("cameras", name)
        if name in RESERVED_NAMES:
            document.problem(path, f"this name is reserved; choose another than {', '.join(sorted(RESERVED_NAMES))}")
        if camera.model not in settings.models:
            known = ", ".join(settings.models)
            document.problem((*path, "model"), f"there is no model {camera.model!r} under `models`; there is {known}")
    for name, model in settings.models.items():
        if not (model.bundle / "bundle.yaml").is_file():
            document.problem(("models", name, "bundle"), f"{model.bundle} is no model bundle (it has no bundle.yaml)")


def _note(document: Document, model: type[BaseModel], error: ErrorDetails) -> None:
    path = _data_path(document.data, error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        document.problem(path, f"unknown key; {_allowed_keys(model, error['loc'], str(path[-1]))}")
        return
    if kind == "missing":
        document.problem(path, "is missing")
        return
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        context = error.get("ctx", {})
        given = f"{context['tag']!r} is not known" if "tag" in context else "`kind` is missing"
        document.problem((*path, "kind"), f"{given}; allowed: {context['expected_tags'].replace(chr(39), '')}")
        return
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    document.problem(path, f"{_given(document.data, path)}{message}")


def _given(data: Any, path: KeyPath) -> str:  # noqa: ANN401 - YAML is anything
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return ""
    secret = any("password" in str(key) or "secret" in str(key) or key == "url" for key in path)
    return "" if secret or isinstance(data, dict | list) else f"{data!r} "


def _data_path(data: Any, loc: tuple[str | int, ...]) -> KeyPath:  # noqa: ANN401 - YAML is anything
    """Pydantic's location without the union tags, which are no keys of the file."""
    path: list[str | int] = []
    for position, key in enumerate(loc):
        present = (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and isinstance(key, int) and key < len(data)
        )
        if present:
            path.append(key)
            data = data[key]
        elif position == len(loc) - 1:
            path.append(key)
    return tuple(path)


def _allowed_keys(model: type[BaseModel], loc: tuple[str | int, ...], given: str) -> str:
    owner: Any = model
    for key in loc[:-1]:
        owner = _step(owner, key)
    names = sorted({name for member in _models(owner) for name in member.model_fields})
    close = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"{hint}allowed here: {', '.join(names)}"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _models(member)


def _step(annotation: Any, key: str | int) -> Any:  # noqa: ANN401 - a type expression
    """The type one location step further down: a field, a list's item, a mapping's value or a union's tagged member."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _step(args[0], key)
    if origin is dict:
        return args[1]
    if origin is list:
        return args[0]
    members = list(_models(annotation))
    for member in members:
        tag = member.model_fields.get("kind")
        if tag is not None and key in get_args(tag.annotation):
            return member
    for member in members:
        if key in member.model_fields:
            return member.model_fields[str(key)].annotation
    for member in get_args(annotation):
        if get_origin(member) in {dict, list, Annotated}:
            return _step(member, key)
    return annotation
