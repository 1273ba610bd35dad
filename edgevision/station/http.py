"""An actuator that posts verdicts to a machine's HTTP endpoint."""

from __future__ import annotations

import http.client
import json
import time
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from edgevision.config.settings import Settings, WithoutSecrets
from edgevision.errors import StationError
from edgevision.station.base import Verdict


class HttpActuatorSettings(Settings):
    """Posts each verdict as JSON to a URL."""

    kind: Literal["http"] = "http"
    url: WithoutSecrets
    """Where to post, `http://host[:port]/path`."""
    timeout_ms: Annotated[float, Field(gt=0, le=60_000)] = 500.0
    """Longest wait for the machine's answer, milliseconds; a nearer deadline shortens it."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            good = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is none
            good = False
        if not good:
            msg = "must look like http://host[:port]/path"
            raise ValueError(msg)
        return value


class HttpActuator:
    """Posts ``{"trigger_id", "part", "serial", "result", "reason"}`` and takes any 2xx answer as done.

    The connection is kept open between verdicts, so that the usual verdict costs one round trip.
    """

    Settings = HttpActuatorSettings

    def __init__(self, settings: HttpActuatorSettings) -> None:
        self._settings = settings
        parts = urlsplit(settings.url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._address = (parts.hostname or "", parts.port or 80)
        self._connection: http.client.HTTPConnection | None = None

    def act(self, verdict: Verdict) -> None:
        """Post the verdict; tries once more on a fresh connection, since machines drop idle ones."""
        timeout_s = self._settings.timeout_ms / 1000
        if verdict.deadline_t_s is not None:
            timeout_s = min(timeout_s, max(0.001, verdict.deadline_t_s - time.monotonic()))
        fresh = self._connection is None
        try:
            self._post(verdict, timeout_s)
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            if fresh or isinstance(exc, TimeoutError):
                msg = f"actuator {self._settings.url}: {str(exc) or type(exc).__name__}"
                raise StationError(msg) from exc
            self.act(verdict)

    def _post(self, verdict: Verdict, timeout_s: float) -> None:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=timeout_s)
        connection = self._connection
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request("POST", self._path, _body(verdict), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status // 100 != 2:  # noqa: PLR2004 - the 2xx of HTTP
            msg = f"actuator {self._settings.url}: answered {answer.status} {answer.reason}"
            raise StationError(msg)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _body(verdict: Verdict) -> bytes:
    part = verdict.part
    body: dict[str, Any] = {
        "trigger_id": part.trigger_id,
        "part": part.id,
        "serial": part.serial,
        "result": verdict.result,
        "reason": verdict.reason,
    }
    return json.dumps(body).encode()
