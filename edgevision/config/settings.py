"""The base of every settings model, and the field types they share. Units stand in the names: ``_s``, ``_ms``, ``_px``, ``_mm``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
RESERVED_NAMES = frozenset({"status", "birth", "cmd", "reply", "device"})

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
RelativePoint = tuple[Unit, Unit]


class Settings(BaseModel):
    """Frozen, and every unknown key is refused.

    A class that can be named in a settings file carries its model as ``Settings`` with a literal ``kind``; the registry
    of the daemon collects them, so that foreign sources, backends and analyses are validated as strictly as ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)
