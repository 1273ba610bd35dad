"""JSON Schemas as pages for people: a heading and a table for each object, in the order in which they are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
_LIMITS = (("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"))


def pages(schema: Schema, title: str, *, level: int = 2, defaults: bool = True) -> str:
    """Markdown for an object and all objects it is made of.

    Args:
        schema: JSON Schema (2020-12) of an object, as pydantic writes it.
        title: Heading of the object itself.
        level: Of the headings.
        defaults: Whether a column tells what holds when a key is not given.
    """
    definitions: Mapping[str, Schema] = schema.get("$defs", {})
    parts = [_page(schema, title, definitions, level=level, defaults=defaults)]
    for name in _met(schema, definitions):
        if "properties" in definitions[name]:
            heading = heading_of(name, definitions)
            parts.append(_page(definitions[name], heading, definitions, level=level, defaults=defaults))
    return "\n".join(parts)


def heading_of(name: str, definitions: Mapping[str, Schema]) -> str:
    """What an object is called on the page: its ``kind`` where it has one, else its name without ``Settings``."""
    kind = definitions[name].get("properties", {}).get("kind", {}).get("const")
    words = name.rpartition("__")[2].removesuffix("Settings") or name
    return f"`kind: {kind}`" if kind else words


def _page(schema: Schema, title: str, definitions: Mapping[str, Schema], *, level: int, defaults: bool) -> str:
    about_it = [_one_line(schema["description"]), ""] if "description" in schema else []
    rows = table(schema.get("properties", {}), schema.get("required", []), definitions, defaults=defaults)
    return "\n".join([f"{'#' * level} {title}", "", *about_it, *rows, ""])


def table(
    properties: Mapping[str, Schema], required: Sequence[str], definitions: Mapping[str, Schema], *, defaults: bool
) -> list[str]:
    """Lines of a table of keys; without ``defaults``, keys that may be missing carry a question mark."""
    if defaults:
        lines = ["| key | value | when not given | meaning |", "|---|---|---|---|"]
    else:
        lines = ["| field | value | meaning |", "|---|---|---|"]
    for key, about in properties.items():
        if key == "kind" and "const" in about:
            continue  # the heading says it
        needed, value = key in required, value_of(about, definitions)
        if defaults:
            cells = [f"`{key}`", value, "**needed**" if needed else _default(about)]
        else:
            cells = [f"`{key}`" if needed else f"`{key}`?", value.removesuffix(" or nothing")]
        lines.append("| " + " | ".join([*cells, _one_line(about.get("description", ""))]) + " |")
    return lines


def value_of(about: Schema, definitions: Mapping[str, Schema]) -> str:
    """A type in words."""
    if "$ref" in about:
        name = str(about["$ref"]).rpartition("/")[2]
        if "properties" not in definitions[name]:
            return value_of(definitions[name], definitions)
        heading = heading_of(name, definitions)
        return f"[{heading}](#{_anchor(heading)})"
    if "const" in about or "enum" in about:
        return " or ".join(f"`{item}`" for item in about.get("enum", [about.get("const")]))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in about:
            return " or ".join(dict.fromkeys(value_of(item, definitions) for item in about[choice]))
    return _plain(about, definitions)


def _plain(about: Schema, definitions: Mapping[str, Schema]) -> str:
    """A type that is no choice and no reference."""
    match about.get("type"):
        case "array":
            words = _array(about, definitions)
        case "object":
            inner = [about.get("additionalProperties"), *about.get("patternProperties", {}).values()]
            values = [value_of(item, definitions) for item in inner if isinstance(item, Mapping)]
            words = f"mapping of name → {values[0]}" if values else "mapping"
        case "number" | "integer" as kind:
            words = f"{'whole number' if kind == 'integer' else 'number'} {_range(about)}".strip()
        case "string":
            words = {"date-time": "time with zone", "path": "path"}.get(about.get("format", ""), "text")
        case other:
            words = {"null": "nothing", "boolean": "true or false"}.get(str(other), "anything")
    return words


def _range(about: Schema) -> str:
    if "minimum" in about and "maximum" in about:
        return f"{about['minimum']} to {about['maximum']}"
    return ", ".join(text.format(about[key]) for key, text in _LIMITS if key in about)


def _array(about: Schema, definitions: Mapping[str, Schema]) -> str:
    if "prefixItems" in about:
        return "[" + ", ".join(value_of(item, definitions) for item in about["prefixItems"]) + "]"
    return f"list of {value_of(about.get('items', {}), definitions)}"


def _met(schema: Schema, definitions: Mapping[str, Schema]) -> list[str]:
    """Names of the definitions, in the order in which a reader meets them."""
    met: list[str] = []
    waiting = list(_references(schema.get("properties", {})))
    while waiting:
        name = waiting.pop(0)
        if name not in met:
            met.append(name)
            waiting = [*_references(definitions[name]), *waiting]
    return met


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield str(value["$ref"]).rpartition("/")[2]
        for key, item in value.items():
            if key != "discriminator":
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _default(about: Schema) -> str:
    default = about.get("default")
    if default in (None, [], {}) or isinstance(default, dict):
        return ""
    return f"`{default}`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _anchor(heading: str) -> str:
    """As GitHub makes them of headings."""
    kept = "".join(character for character in heading.lower() if character.isalnum() or character in " -_")
    return kept.replace(" ", "-")
