"""The durable outbox: SQLite behind one writer thread."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import glob
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Annotated, Any

import structlog
from pydantic import Field

from edgevision.config.settings import Settings
from edgevision.errors import OutboxError
from edgevision.events.backlog import Append, Backlog, Done, Lost, Refused, Resend, encode_draft, encode_state
from edgevision.events.base import CameraState, Draft, Order, Resent, StoredEvent
from edgevision.events.build import EventBuilder
from edgevision.events.claims import Claims
from edgevision.events.database import Durability, connect, suspicion
from edgevision.events.lostnote import LostNote
from edgevision.events.notices import PARK_AFTER, Notices
from edgevision.events.reader import Reader
from edgevision.events.store import DONE, PARKED, WAITING, Store
from edgevision.events.times import utc_text
from edgevision.events.writer import Limits, Writer
from edgevision.types import Health

log = structlog.get_logger(__name__)

RESEND_TIMEOUT_S = 30.0


def _usual_path() -> Path:
    """Where a service may write: systemd names the folder in the environment."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0]) / "outbox.sqlite"


class OutboxSettings(Settings):
    """The durable queue between the analyses and the broker."""

    path: Path = Field(default_factory=_usual_path)
    """The file, on a local disk. Without it `outbox.sqlite`: in the folder that the environment variable
    `STATE_DIRECTORY` names (systemd and the containers set it), else beside the settings file."""
    durability: Durability = "crash"
    """`crash`: survives the end of the process; `power_loss`: a loss of power too, at the price of a sync a commit."""
    max_bytes: Annotated[int, Field(ge=10_000)] = 1_000_000_000
    """Budget for events that wait or are parked, bytes; beyond it the lowest priority goes first, verdicts last."""
    memory_events: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """How many events are kept in memory while the disk is full."""
    resend_max_bytes: Annotated[int, Field(ge=0)] = 100_000_000
    """How many bytes of acknowledged events are kept for `resend`."""
    resend_hours: Annotated[float, Field(ge=0)] = 72.0
    """How long acknowledged events are kept for `resend`, hours."""


class SqliteOutbox:
    """Implements ``Outbox``. It announces refusals and losses itself, in the transaction that stores them.

    Args:
        settings: Where and how much.
        builder: Who speaks in the outbox's own events; its boot id is the present one.

    Attributes:
        path: The file.

    Raises:
        OutboxError: The file is in use by another process, from a newer version, or cannot be made.
    """

    Settings = OutboxSettings

    def __init__(self, settings: OutboxSettings, builder: EventBuilder) -> None:
        path = settings.path
        self.path = path
        self._file_lock = _lock(path)
        try:
            connection, self._set_aside = _open(path, settings.durability)
        except OutboxError:
            self._file_lock.close()
            raise
        self._store = Store(connection)
        self._previous = self._store.last_boot(builder.bootid)
        if self._previous is not None:
            with contextlib.suppress(sqlite3.Error), self._store.transaction():  # a full disk: next time
                self._store.forget_boots((builder.bootid, self._previous["bootid"]))
        self._reader = Reader(path)
        self._cond = threading.Condition()
        self._claims = Claims(self._store.last_n)
        self._newest = self._store.last_n
        self._totals = self._store.totals.copy()
        self._note = LostNote(path.with_name(path.name + ".lost"))
        limits = Limits(
            settings.max_bytes, settings.memory_events, settings.resend_max_bytes, settings.resend_hours * 3600
        )
        notices = Notices(builder)
        self._writer = Writer(self._store, notices, limits, self._in_flight, self._committed, self._abandoned)
        self._writer.start()
        self._closed = False
        if self._previous is None and any(path.parent.glob(f"{glob.escape(path.name)}.corrupt-*")):
            # moved aside by this start, or by one that was killed before it could tell
            self.append([notices.gap("corrupt", [])])
        if lost := self._note.read():
            self._writer.put(Lost(lost))

    def previous_boot(self) -> dict[str, Any] | None:
        """``bootid`` and ``last`` sequence number by topic of the process before this one, for ``health.started``."""
        return self._previous

    def append(self, drafts: Sequence[Draft], state: CameraState | None = None) -> None:
        """Queue for commit; blocks while the writer's queue is full.

        Raises:
            EventError: A draft is not JSON.
            OutboxError: The outbox is closed.
        """
        now = time.monotonic()
        for draft in drafts:
            if draft.decided_t_s is not None:
                draft.envelope["data"]["latency_ms"] = round(max(0.0, now - draft.decided_t_s) * 1000, 1)
        if drafts or state is not None:
            stored = None if state is None else encode_state(state)
            self._writer.put(Append(tuple(encode_draft(draft) for draft in drafts), stored))

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is committed; whether it was."""
        return self._writer.flush(timeout_s)

    def state(self, camera: str) -> CameraState | None:
        """The last committed state of a camera."""
        with self._cond:
            return self._reader.state(camera)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until there may be something to claim, of the topics that the last claim took; whether there may."""
        with self._cond:
            return self._cond.wait_for(lambda: self._claims.may_take(self._newest), timeout_s)

    def connected(self) -> None:
        """A connection is made: whatever is stored by now is historical on it, and not live."""
        with self._cond:
            self._claims.connected(self._newest)

    def claim(self, limit: int, order: Order, without: Collection[str] = ()) -> list[StoredEvent]:
        """Events that wait and are not claimed yet, at most ``limit``, none of the topics ``without``."""
        with self._cond:
            self._claims.leave_out(without)
            return self._claims.take(self._reader, limit, order, self._newest)

    def done(self, rowids: Sequence[int]) -> None:
        """The broker has acknowledged these."""
        with self._cond:
            new = self._claims.finish(rowids)
        if new:
            self._writer.put(Done(tuple(new)))

    def refused(self, rowid: int, reason_code: int, reason: str) -> int:
        """The broker said no; the event waits again, or is parked after the fifth time. Returns the attempts so far."""
        with self._cond:
            known = self._claims.attempts(rowid)
            attempts = (self._reader.attempts(rowid) if known is None else known) + 1
            new = self._claims.settle([rowid])
        if new:
            self._writer.put(Refused(rowid, attempts, (reason_code, reason)))
            if attempts >= PARK_AFTER:  # told loudly, once and at 1, 2, 4 ..., by ``health.publish_refused``
                log.debug("event.parked", rowid=rowid, reason_code=reason_code, reason=reason)
        return attempts

    def release(self) -> None:
        """The connection is gone: whatever is claimed waits again."""
        with self._cond:
            self._claims.release()
            self._cond.notify_all()

    def resend(self, camera: str | None, family: str | None, from_utc: str, to_utc: str) -> Resent:
        """Put done and parked events with from ≤ time < to (RFC 3339 with zone) back into the queue, as many as fit.

        Raises:
            OutboxError: A time cannot be read, or nothing can be written now.
        """
        item = Resend((camera, family, utc_text(from_utc), utc_text(to_utc)), self._sent_again)
        self._writer.put(item)
        try:
            return item.result.result(RESEND_TIMEOUT_S)
        except concurrent.futures.TimeoutError as error:  # no builtin before Python 3.11
            msg = f"resend: the outbox did not answer within {RESEND_TIMEOUT_S:.0f} s"
            raise OutboxError(msg) from error

    def health(self) -> Health:
        """Depth, bytes, age, losses; not ok while nothing can be written or read. Never raises."""
        trouble = self._trouble()
        oldest_s = None
        with self._cond:
            totals = self._totals
            if totals.count[WAITING] and not self._closed:
                try:
                    oldest_s = self._reader.oldest_s()
                except OutboxError as error:
                    trouble = trouble or str(error)
        facts: dict[str, float | int | str] = {
            "depth": totals.count[WAITING],
            "bytes": totals.size[WAITING],
            "age_s": 0.0 if oldest_s is None else round(max(0.0, time.time() - oldest_s), 1),
            "parked": totals.count[PARKED],
            "done_bytes": totals.size[DONE],
            "held": self._writer.held,
            "lost": self._writer.lost,
        }
        if self._set_aside is not None:
            facts["set_aside"] = str(self._set_aside)
        detail = trouble or f"{totals.count[WAITING]} waiting"
        return Health("outbox", trouble is None, detail, facts=facts)

    def _trouble(self) -> str | None:
        trouble = self._writer.trouble
        if not self._writer.alive:
            trouble = "closed" if self._closed else "the writer has died"
        if trouble is not None:
            return f"cannot write: {trouble}"
        damage = self._reader.damage
        return damage and f"cannot read all of it: {damage}; a restart moves it aside"

    def close(self) -> None:
        """Commit what is queued and stop; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        with self._cond:
            if self._reader.damage is not None or self._writer.damaged:
                with contextlib.suppress(OSError):  # no room even for a name: an unclean end will tell
                    suspicion(self.path).touch()
            self._reader.close()
            self._store.close()
        self._file_lock.close()

    def _in_flight(self) -> frozenset[int]:
        with self._cond:
            return self._claims.excluded

    def _sent_again(self, rowids: Sequence[int]) -> None:
        with self._cond:
            self._claims.again(rowids)

    def _committed(self, backlog: Backlog) -> None:
        with self._cond:
            self._newest = self._store.last_n
            self._totals = self._store.totals.copy()
            self._claims.settled(backlog.done, (item.rowid for item in backlog.refused))
            if backlog.resends:
                self._claims.rewind()
            self._cond.notify_all()
        if backlog.lost:  # announced by now; a crash before this line announces it once more
            self._note.write(Counter())

    def _abandoned(self, backlog: Backlog) -> None:
        self._note.write(backlog.forfeit())


def _lock(path: Path) -> IO[str]:
    """Keep other processes away from the file; the lock goes with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        msg = f"{path}: cannot be made: {error.strerror}; choose another path for the outbox"
        raise OutboxError(msg) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        msg = f"{path}: in use by another process; one outbox belongs to one daemon"
        raise OutboxError(msg) from error
    return file


def _open(path: Path, durability: Durability) -> tuple[sqlite3.Connection, Path | None]:
    """The database, and where a damaged one was moved."""
    try:
        return connect(path, durability), None
    except sqlite3.OperationalError as error:
        msg = f"{path}: cannot be opened: {error}"
        raise OutboxError(msg) from error
    except sqlite3.DatabaseError as error:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%fZ")
        aside = path.with_name(f"{path.name}.corrupt-{stamp}")
        log.critical("outbox is damaged; starting a new one, its events are lost", file=str(aside), reason=str(error))
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return connect(path, durability), aside
