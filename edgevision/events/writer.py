"""The one thread that writes to the outbox: commits what is waiting, keeps it in memory while the disk is full."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from edgevision.errors import OutboxError, OutboxFull
from edgevision.events.backlog import Backlog, Item, Refused, Resend, encode_draft
from edgevision.events.base import Resent
from edgevision.events.budget import Budget
from edgevision.events.database import damaged, disk_full
from edgevision.events.notices import PARK_AFTER, Notices
from edgevision.events.store import DONE, Store

log = structlog.get_logger(__name__)

BATCH = 256
QUEUE = 1024
RETRY_S = 0.5
PRUNE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept.

    Attributes:
        max_bytes: Of what waits or is parked.
        memory_events: Held in memory while nothing can be written.
        resend_max_bytes: Of what is done.
        resend_s: Age of what is done, seconds.
    """

    max_bytes: int
    memory_events: int
    resend_max_bytes: int
    resend_s: float


class Writer:
    """Owns the store. Items go in by ``put``; ``on_commit`` hears of each committed backlog, in the writer's thread.

    Args:
        store: The tables.
        notices: Makes the outbox's own events.
        limits: How much is kept.
        in_flight: Rowids that must not be given up now.
        on_commit: Called after each commit.
        on_abandon: Called at the end with what could not be written.
    """

    def __init__(
        self,
        store: Store,
        notices: Notices,
        limits: Limits,
        in_flight: Callable[[], frozenset[int]],
        on_commit: Callable[[Backlog], None],
        on_abandon: Callable[[Backlog], None],
    ) -> None:
        self._store = store
        self._notices = notices
        self._limits = limits
        self._budget = Budget(store, notices, limits.max_bytes, in_flight)
        self._on_commit = on_commit
        self._on_abandon = on_abandon
        self._cond = threading.Condition()
        self._queue: deque[Item] = deque()
        self._backlog = Backlog()
        self._put = self._settled = 0
        self._stopping = False
        self._retry_at = 0.0
        self._prune_at = time.monotonic()
        self.trouble: str | None = None
        """Why nothing can be written now."""
        self.damaged = False
        """Whether a damaged page was met."""
        self.lost = 0
        """Events given up since the start."""
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)

    @property
    def held(self) -> int:
        """Events in memory that could not be written yet."""
        return len(self._backlog.events) if self.trouble else 0

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Queue an item; blocks while the queue is full.

        Raises:
            OutboxError: The outbox is closed, or its thread has died.
        """
        with self._cond:
            while len(self._queue) >= QUEUE and self.alive and not self._stopping:
                self._cond.wait(1.0)
            if self._stopping or not self.alive:
                msg = "the outbox is closed" if self._stopping else "the outbox's writer has died; see the log"
                raise OutboxError(msg)
            self._queue.append(item)
            self._put += 1
            self._cond.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put before is committed."""
        deadline = time.monotonic() + timeout_s
        with self._cond:
            ticket = self._put
            while self._settled < ticket and self.alive:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._cond.wait(min(left, 1.0))
            return self._settled >= ticket

    def stop(self) -> None:
        """Commit what is queued and end; what still cannot be written is lost, counted and logged."""
        with self._cond:
            self._stopping = True
            self._cond.notify_all()
        if self.alive:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._cond:
                while not (self._queue or self._stopping):
                    if not self._cond.wait(self._patience_s()):
                        break
                for _ in range(min(BATCH, len(self._queue))):
                    self._backlog.add(self._queue.popleft())
                last = self._stopping and not self._queue
                self._cond.notify_all()
            if self._backlog.items and (last or self.trouble is None or time.monotonic() >= self._retry_at):
                self._try()
            if self.trouble is not None:
                self.lost += self._backlog.trim(self._limits.memory_events)
            if last:
                self._abandon()
                return

    def _patience_s(self) -> float | None:
        return max(0.0, self._retry_at - time.monotonic()) if self.trouble else None

    def _try(self) -> None:
        try:
            try:
                self._commit()
            except sqlite3.Error as error:
                if not (disk_full(error) and self._store.totals.count[DONE]):
                    raise
                with self._store.transaction():  # the resend window makes room for what is new
                    self._store.prune(0, math.inf)
                self._commit()
        except sqlite3.Error as error:
            self._hold(error)
        else:
            self._settle()

    def _hold(self, error: sqlite3.Error) -> None:
        if self.trouble is None:
            log.error("outbox cannot write; events are held in memory", reason=str(error))
        self.trouble = str(error)
        self.damaged = self.damaged or damaged(error)
        self._retry_at = time.monotonic() + RETRY_S
        for resend in self._backlog.resends:
            resend.result.set_exception(OutboxFull(f"nothing can be written now: {error}"))
        self._backlog.resends.clear()

    def _settle(self) -> None:
        if self.trouble is not None:
            log.warning("outbox writes again", held=len(self._backlog.events), lost=self._backlog.lost.total())
            self.trouble = None
        committed, self._backlog = self._backlog, Backlog()
        self._on_commit(committed)
        with self._cond:
            self._settled += committed.items
            self._cond.notify_all()

    def _abandon(self) -> None:
        if self._backlog.events or self._backlog.lost:
            self.lost += len(self._backlog.events)
            log.error("outbox closed while it could not write; events are lost", lost=self._backlog.forfeit().total())
            self._on_abandon(self._backlog)

    def _commit(self) -> None:
        store, backlog = self._store, self._backlog
        with store.transaction(), self._notices.transaction():
            store.insert(backlog.events)
            for state in backlog.states.values():
                store.put_state(state)
            store.finish(backlog.done)
            for refused in backlog.refused:
                self._refuse(refused)
            moved = [(resend, self._resend(resend)) for resend in backlog.resends]
            if backlog.lost:
                lost = [{"topic": topic, "count": count} for topic, count in sorted(backlog.lost.items())]
                store.insert([encode_draft(self._notices.gap("disk_full", lost))])
            given_up = self._budget.keep()
            self._prune()
        self.lost += given_up
        for resend, resent in moved:
            resend.result.set_result(resent)

    def _resend(self, resend: Resend) -> Resent:
        rowids, left_out = self._store.resend(resend.span, self._budget.room)
        resend.chosen(rowids)
        return Resent(len(rowids), len(left_out), left_out[0] if left_out else None)

    def _refuse(self, refused: Refused) -> None:
        found = self._store.refuse(refused.rowid, park=refused.attempts >= PARK_AFTER)
        if found is None:
            return
        topic, event_id = found
        notice = self._notices.refusal(topic, event_id, refused.answer, refused.attempts)
        if notice is not None:
            self._store.insert([encode_draft(notice)])

    def _prune(self) -> None:
        now = time.monotonic()
        if now < self._prune_at and self._store.totals.size[DONE] <= self._limits.resend_max_bytes:
            return
        self._prune_at = now + PRUNE_EVERY_S
        self._store.prune(self._limits.resend_max_bytes, time.time() - self._limits.resend_s)
