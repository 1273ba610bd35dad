"""The base of every settings model, and the field types they share.

Units stand in the names: ``_s``, ``_ms``, ``_px``, ``_mm``, ``_bytes``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, ValidationInfo, field_validator

MASK = "**********"  # as pydantic writes a SecretStr
_LOGIN = re.compile(r"(?<=://)[^\s\"']*@")  # to the last @, since a password may have one
_SECRET = re.compile(
    r"""(?ix)
    ( (?<![\w-]) (?: [\w-]* (?:pw|pwd|passw(?:or)?d|passphrase|secret|token|credentials?) | authorization | auth
      | (?:api|access)[-_]?key | extra-headers | cookies ) \s* = \s* (?:\([^)]*\)\s*)? )  # with GStreamer's (type)
    (?: "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | (?:\\.|[^\s\\"'])+ ) (?:\\.|[^\s\\"'])*
    """
)
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
RESERVED_NAMES = frozenset({"status", "birth", "cmd", "reply", "device"})

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
RelativePoint = tuple[Unit, Unit]


def masked(text: str) -> str:
    """``text`` without the logins of addresses and the values of properties such as ``user-pw=...``.

    It rather masks too much than too little.
    """
    return _SECRET.sub(rf"\1{MASK}", _LOGIN.sub(f"{MASK}@", text))


WithoutSecrets = Annotated[str, PlainSerializer(masked, when_used="json")]
"""Text that may hold a password among other things: whole where it is used, masked where it is shown."""


class Settings(BaseModel):
    """Frozen, and every unknown key is refused.

    A class that can be named in a settings file carries its model as ``Settings`` with a literal ``kind``; the registry
    of the daemon collects them, so that foreign sources, backends and analyses are validated as strictly as ours.
    Relative paths are meant from the folder of the settings file.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    @field_validator("*", mode="after")
    @classmethod
    def _from_the_files_folder(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any field
        folder = (info.context or {}).get("folder")
        if isinstance(value, Path) and folder is not None:
            try:
                value = value.expanduser()
            except RuntimeError as exc:
                msg = f"{value}: the home folder is not known"
                raise ValueError(msg) from exc
            return value if value.is_absolute() else Path(folder) / value
        return value
