"""Events to bytes and back. Strict in what a device says, tolerant to fields a later revision added in what is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from edgevision.errors import EventError
from edgevision.events.schema import DATA_MODELS, EVENT_TYPES, AnyEvent, event_model
from edgevision.events.times import timestamp

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dump(document: Mapping[str, Any]) -> bytes:
    """Compact JSON, UTF-8.

    Raises:
        EventError: Something in it is no JSON, NaN included.
    """
    try:
        return _encode(document).encode()
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"event is not JSON: {error}"
        raise EventError(msg) from error


def encode(event: AnyEvent) -> bytes:
    """An event that was read, as JSON again, with the fields that a later revision added."""
    document = event.model_dump(mode="json", exclude_none=True, exclude_defaults=False)
    del document["datacontenttype"]
    document["time"] = timestamp(event.time)
    if event.publishedat is None:
        del document["historical"]
    else:
        document["publishedat"] = timestamp(event.publishedat)
    return dump(document)


def decode(body: bytes) -> AnyEvent:
    """The typed event; ``data`` is an instance of the payload model of its type.

    Raises:
        EventError: It is no JSON, no event, or of a type that this version does not know.
    """
    try:
        document = json.loads(body, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        msg = f"not JSON: {error}"
        raise EventError(msg) from error
    type_ = document.get("type") if isinstance(document, dict) else None
    if not isinstance(type_, str) or type_ not in DATA_MODELS:
        msg = (
            f"no event of this contract: type is {type_!r}"
            if type_
            else "no event: a JSON object with a type is expected"
        )
        raise EventError(msg)
    try:
        return event_model(type_).model_validate_json(body, strict=True)
    except ValidationError as error:
        raise EventError(_explain(str(type_), error)) from error


def check_data(family: str, name: str, data: Mapping[str, Any]) -> None:
    """Hold a payload against its model before it is written.

    Raises:
        EventError: There is no such event, or a field is missing, wrong or unknown.
    """
    model = EVENT_TYPES.get((family, name))
    if model is None:
        msg = f"no event {family}.{name} in version 1 of the contract"
        raise EventError(msg)
    try:
        model.model_validate_json(dump(data), strict=True, extra="forbid")
    except ValidationError as error:
        raise EventError(_explain(f"{family}.{name}", error)) from error


def stamp(body: bytes, *, historical: bool, published: datetime) -> bytes:
    """A stored event with the two attributes that belong to its publication, written at the end."""
    tail = f',"historical":{"true" if historical else "false"},"publishedat":"{timestamp(published)}"}}'
    return body[:-1] + tail.encode()


def _finite(text: str) -> float:
    """A number that JSON has: also in fields of a later revision, which no model looks at."""
    value = float(text)
    if not math.isfinite(value):
        msg = f"{text} is no number of JSON"
        raise ValueError(msg)
    return value


def _explain(what: str, error: ValidationError) -> str:
    first, *more = error.errors(include_url=False, include_input=True)
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{what}: unknown field {where}"
    given = "" if first["type"] == "missing" else f", got {first['input']!r:.60}"
    rest = f" (and {len(more)} more)" if more else ""
    return f"{what}: {where}: {first['msg']}{given}{rest}"
