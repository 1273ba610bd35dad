"""From a settings file to a validated model, with every problem at once."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgevision.config.daemon import DaemonSettings, Registry, daemon_model
from edgevision.config.document import Document, KeyPath, read_document
from edgevision.config.settings import NAME_PATTERN, RESERVED_NAMES
from edgevision.errors import ConfigError

_UNITS = {
    "_ms": "milliseconds",
    "_s": "seconds",
    "_px": "pixels",
    "_mm": "millimetres",
    "_bytes": "bytes",
    "_hours": "hours",
    "_per_px": "millimetres per pixel",
}
_TAGS = ("kind", "by")  # the keys that tell the members of a union apart

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
    check: Callable[[Document], None] | None = None,
    defaults: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> ModelT:
    """Read ``file`` as ``model``; ``check`` may note problems between keys, ``defaults`` stand for keys not given.

    Raises:
        ConfigError: With all problems of the file, each with its line.
    """
    document = read_document(file, environ)
    settings: ModelT | None = None
    try:
        settings = model.model_validate(
            {**(defaults or {}), **document.data}, context={"folder": file.resolve().parent}
        )
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            _note(document, model, error)
    if check is not None:
        check(document)
    if document.problems or settings is None:
        raise ConfigError(sorted(document.problems, key=lambda problem: _line(problem.where)))
    return settings


def config_revision(settings: BaseModel, folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over the resolved settings, secrets masked.

    Paths below ``folder``, that of the settings file, count from there: the same files have the same revision wherever
    they lie.
    """
    document = _relative(json.loads(settings.model_dump_json()), f"{folder.resolve()}/")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _relative(value: Any, folder: str) -> Any:  # noqa: ANN401 - JSON is anything
    match value:
        case dict():
            return {key: _relative(item, folder) for key, item in value.items()}
        case list():
            return [_relative(item, folder) for item in value]
        case str():
            return value.removeprefix(folder)
    return value


def _line(where: str) -> int:
    line = where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _check_daemon(document: Document) -> None:
    """What no single value can tell; looks at the raw data, so that it finds problems beside those of the model."""
    models, cameras = _mapping(document.data, "models"), _mapping(document.data, "cameras")
    for name in cameras:
        if name in RESERVED_NAMES:
            document.problem(("cameras", name), f"this name is reserved, as are {', '.join(sorted(RESERVED_NAMES))}")
        model = _mapping(cameras, name).get("model")
        if isinstance(model, str) and model not in models:
            known = ", ".join(models) or "none"
            document.problem(
                ("cameras", name, "model"), f"there is no model {model!r} under `models`; there is {known}"
            )
    for name in models:
        bundle = _mapping(models, name).get("bundle")
        if isinstance(bundle, str) and not _is_bundle(document.file.parent, bundle):
            document.problem(("models", name, "bundle"), f"{bundle} is no model bundle (it has no bundle.yaml)")


def _is_bundle(folder: Path, bundle: str) -> bool:
    try:
        return (folder / Path(bundle).expanduser() / "bundle.yaml").is_file()
    except (OSError, RuntimeError):  # a name that is too long, the home folder of nobody
        return False


def _mapping(data: Any, key: str) -> dict[str, Any]:  # noqa: ANN401 - YAML is anything
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


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
        key, tag = _discriminator(error), error.get("ctx", {}).get("tag")
        given = f"`{key}` is missing" if tag is None else f"{tag!r} is not known"
        document.problem((*path, key), f"{given}; allowed: {', '.join(_allowed_kinds(model, error['loc'], key))}")
        return
    document.problem(path, f"{_given(document.data, path)}{_message(error, str(path[-1]) if path else '')}")


def _message(error: ErrorDetails, key: str) -> str:
    if error["type"] == "string_pattern_mismatch" and error.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return "is no name: lower-case letters, digits and hyphens, at most 63, not beginning with a hyphen"
    unit = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), None)
    if unit is not None and error["type"] in {"float_parsing", "float_type", "int_parsing", "int_type"}:
        return f"is no plain number; write the number of {unit} without a unit"
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        return "should be text; put it in quotes"
    return error["msg"].removeprefix("Value error, ").removeprefix("Input ")


def _given(data: Any, path: KeyPath) -> str:  # noqa: ANN401 - YAML is anything
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return ""
    secret = any("password" in str(key) or "secret" in str(key) or key == "url" for key in path)
    secret = secret or (isinstance(data, str) and "@" in data)  # an address may carry a login
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
    fields = [item for member in _models(owner) for item in member.model_fields.items()]
    names = sorted({info.alias or name for name, info in fields})
    close = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"{hint}allowed here: {', '.join(names)}"


def _discriminator(error: ErrorDetails) -> str:
    """The key that tells the members of a union apart, which pydantic writes in quotes."""
    return str(error.get("ctx", {}).get("discriminator", "kind")).strip("'")


def _allowed_kinds(model: type[BaseModel], loc: tuple[str | int, ...], tag: str) -> list[str]:
    owner: Any = model
    for key in loc:
        owner = _step(owner, key)
    fields = [member.model_fields[tag] for member in _models(owner) if tag in member.model_fields]
    return [str(kind) for field in fields for kind in get_args(field.annotation)]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _models(member)


def _step(annotation: Any, key: str | int) -> Any:  # noqa: ANN401 - a type expression
    """The type one step further down: a field, a list's item, a mapping's value or a union's tagged member."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in {dict, list, Annotated}:
        return _step(args[0], key) if origin is Annotated else args[-1]
    members = list(_models(annotation))
    for member in members:
        if any(key in get_args(member.model_fields[tag].annotation) for tag in _TAGS if tag in member.model_fields):
            return member
    fields = [member.model_fields[str(key)].annotation for member in members if key in member.model_fields]
    containers = [_step(item, key) for item in args if get_origin(item) in {dict, list, Annotated}]
    return next(iter([*fields, *containers]), annotation)
