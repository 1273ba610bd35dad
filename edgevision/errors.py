"""Every error that edgevision raises on purpose.

::

    EdgevisionError
    ├── ConfigError          the user's settings; carries every problem at once
    ├── BundleError          a model bundle cannot be used
    │   ├── BundleCorrupt    a hash, shape or class list does not match the manifest
    │   ├── BundleUntrusted  it is not signed by a key that is trusted
    │   └── UnsafeModel      a pickle or another executable format stands where a model should
    ├── SourceError          a camera or file
    │   ├── SourceUnavailable  it cannot be opened now; trying again may help
    │   ├── SourceLost         it stopped in mid-run; trying again may help
    │   └── SourceInvalid      it can never work as configured; trying again is useless
    ├── BackendError         a model cannot be loaded or run by a backend
    ├── OutboxError          the durable queue
    │   └── OutboxFull       the disk or the byte budget is exhausted
    ├── PublishError         the way to the broker
    │   ├── BrokerUnavailable  nobody answers; trying again may help
    │   └── BrokerRefused      it answers and says no (credentials, authorisation)
    ├── ConsumerError        what a consumer has seen cannot be kept; the same call may succeed later
    ├── EventError           bytes that are no event of the contract
    ├── DatasetError         labelled pictures that cannot be used
    ├── TrainingError        a training cannot be done, or not go on
    ├── ExportError          a model cannot be exported as asked
    ├── StationError         a trigger or actuator
    └── ImageError           a picture that cannot be read
"""

from __future__ import annotations

from dataclasses import dataclass


class EdgevisionError(Exception):
    """Base of the tree. Its text is one or two lines made for the person who has to act on it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a settings file.

    Attributes:
        where: ``file:line`` of the offending value, or the file alone.
        path: The key's path, e.g. ``cameras.door.source.url``.
        message: What is wrong, what was given and what is allowed.
    """

    where: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.path}: {self.message}" if self.path else f"{self.where}: {self.message}"


class ConfigError(EdgevisionError):
    """The settings are wrong; ``problems`` holds all that was found, in the order of the file."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BundleError(EdgevisionError):
    """A model bundle cannot be used."""


class BundleCorrupt(BundleError):
    """A file of the bundle differs from what its manifest says."""


class BundleUntrusted(BundleError):
    """Keys are given, and none of them signed this bundle, or engine, as it is."""


class UnsafeModel(BundleError):
    """A file that could execute code on loading, or that brings in another one, stands where a model should."""


class SourceError(EdgevisionError):
    """A source of frames failed; ``camera`` is filled in by the daemon."""


class SourceUnavailable(SourceError):
    """The source cannot be opened now."""


class SourceLost(SourceError):
    """The source stopped in mid-run: the stream ended, froze or broke."""


class SourceInvalid(SourceError):
    """The source can never work as it is configured."""


class BackendError(EdgevisionError):
    """A backend cannot load or run a model."""


class OutboxError(EdgevisionError):
    """The durable queue failed."""


class OutboxFull(OutboxError):
    """No room is left on the disk or in the byte budget."""


class PublishError(EdgevisionError):
    """A message did not reach the broker."""


class BrokerUnavailable(PublishError):
    """The broker does not answer."""


class BrokerRefused(PublishError):
    """The broker answers and refuses; ``reason_code`` is MQTT's."""

    def __init__(self, message: str, reason_code: int) -> None:
        self.reason_code = reason_code
        super().__init__(message)


class ConsumerError(EdgevisionError):
    """A consumer's memory of what it has seen cannot be read or written now."""


class EventError(EdgevisionError):
    """Bytes that are no event of the contract."""


class DatasetError(EdgevisionError):
    """Labelled pictures, or what belongs to them, cannot be used."""


class TrainingError(EdgevisionError):
    """A training cannot be done as it is set up, or not go on."""


class ExportError(EdgevisionError):
    """A model cannot be exported as asked, or its calibration pictures will not do."""


class StationError(EdgevisionError):
    """A trigger or an actuator failed."""


class ImageError(EdgevisionError):
    """A picture cannot be read: empty, truncated, too large or of an unknown format."""
