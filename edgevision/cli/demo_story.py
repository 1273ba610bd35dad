"""What the demo does: broker, daemon in a process of its own, consumer, and the comparison with the drawn truth."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from edgevision.cli.plates import Box, plate
from edgevision.errors import BundleError, EdgevisionError
from edgevision.events.schema import AnyEvent
from edgevision.events.topics import event_filter
from edgevision.mqtt.broker import EmbeddedBroker
from edgevision.mqtt.consumer import Consumer, Gap, Received
from edgevision.mqtt.settings import MqttSettings
from edgevision.scenes.pcb import Board, PcbConveyor

START = datetime(2026, 1, 1, tzinfo=timezone.utc)  # as configs/demo.yaml says
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
IDLE_S = 3.0
_NEAR_PX = 24.0  # a found defect lies this near to the drawn one, across the belt's direction


@dataclass(slots=True)
class Seen:
    """What the consumer heard of one board."""

    verdicts: list[AnyEvent] = field(default_factory=list)
    defects: list[AnyEvent] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """The comparison of events and truth."""

    boards: int
    defects: int
    found: int = 0
    missed: int = 0
    false: int = 0
    judged: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    gaps: int = 0
    events: int = 0
    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    delivery_ms: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """One right verdict for every board, every event received, and nothing else wrong."""
        return self.right == self.boards and not self.wrong and self.gaps == 0

    def document(self) -> dict[str, Any]:
        """JSON-able."""
        percentiles = {
            f"{name}_{share}_ms": round(float(np.percentile(values, number)), 1) if values else None
            for name, values in (("latency", self.latency_ms), ("delivery", self.delivery_ms))
            for share, number in (("p50", 50), ("p99", 99))
        }
        return {
            "good": self.good,
            "boards": self.boards,
            "one_verdict": self.judged,
            "right_verdicts": self.right,
            "wrong": self.wrong,
            "defects": self.defects,
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "events": self.events,
            "gaps": self.gaps,
            "seconds": round(self.seconds, 1),
            **percentiles,
        }


class Story:
    """One run of the demo.

    Args:
        boards: How many go by.
        seed: Of the scene.
        model: A bundle; the project's own when ``None``.
        out: Folder for annotated pictures.

    Raises:
        BundleError: There is no bundle.
    """

    def __init__(self, *, boards: int, seed: int, model: Path | None, out: Path | None) -> None:
        root = Path(__file__).resolve().parents[2]
        self._model = (model or root / "models" / "pcb-defects").resolve()
        self._config = root / "configs" / "demo.yaml"
        if not (self._model / "bundle.yaml").is_file() or not self._config.is_file():
            msg = f"{self._model} is no bundle; run the demo from a checkout, or name a bundle with --model"
            raise BundleError(msg)
        self._scene = PcbConveyor(seed, boards=boards)
        self._boards = self._scene.boards
        self._seed = seed
        self._out = out
        self._seen = {board.part_id: Seen() for board in self._boards}

    def play(self, console: Console) -> Summary:
        """Run it, telling ``console`` what happens."""
        summary = Summary(len(self._boards), sum(len(board.defects) for board in self._boards))
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="edgevision-demo-") as folder, EmbeddedBroker() as broker:
            console.print(f"broker     embedded, 127.0.0.1:{broker.port}")
            console.print(f"model      {self._model.name}, ONNX Runtime")
            console.print(f"settings   {self._config.name}\n")
            settings = MqttSettings(host=broker.host, port=broker.port, protocol="3.1.1")
            with Consumer(settings, [event_filter("demo", "bench")], grace_s=1.0) as consumer:
                daemon = self._daemon(broker.port, Path(folder))
                try:
                    self._listen(consumer, daemon, summary, console)
                finally:
                    trouble = ended(daemon)
                if trouble is not None:
                    summary.wrong.append(trouble)
        self._compare(summary)
        summary.seconds = time.monotonic() - started
        return summary

    def _daemon(self, port: int, folder: Path) -> subprocess.Popen[bytes]:
        environ = {
            **os.environ,
            "EDGEVISION_DEMO_MODEL": str(self._model),
            "EDGEVISION_DEMO_SEED": str(self._seed),
            "EDGEVISION_DEMO_BOARDS": str(len(self._boards)),
            "EDGEVISION_DEMO_DIR": str(folder),
            "EDGEVISION_DEMO_PORT": str(port),
        }
        command = [sys.executable, "-m", "edgevision", "run", str(self._config), "--until-done"]
        return subprocess.Popen(command, env=environ)  # noqa: S603 - ourselves

    def _listen(self, consumer: Consumer, daemon: subprocess.Popen[bytes], summary: Summary, console: Console) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            for item in consumer.events(IDLE_S):
                deadline_s = float("inf")
                if isinstance(item, Gap):
                    summary.gaps += item.count
                else:
                    self._heard(item, summary, console)
            if daemon.poll() is not None:
                return
            if time.monotonic() > deadline_s:
                msg = f"the daemon has said nothing for {START_TIMEOUT_S:.0f} s"
                raise EdgevisionError(msg)

    def _heard(self, item: Received, summary: Summary, console: Console) -> None:
        event = item.event
        summary.events += 1
        if event.publishedat is not None:
            summary.delivery_ms.append((datetime.now(timezone.utc) - event.publishedat).total_seconds() * 1000)
        if event.family != "defect":
            return
        if event.data.latency_ms is not None:
            summary.latency_ms.append(event.data.latency_ms)
        board = self._board_of(event)
        if board is None:
            summary.wrong.append(f"{event.name} at {event.time:%H:%M:%S.%f} belongs to no board")
        elif event.name == "detected":
            self._seen[board.part_id].defects.append(event)
        elif event.name == "verdict":
            self._seen[board.part_id].verdicts.append(event)
            self._tell(board, event, console)

    def _board_of(self, event: AnyEvent) -> Board | None:
        """The board whose verdict is due at the time of the event: it has just left the full view."""
        index = round((event.time - START).total_seconds() * self._scene.fps)
        before = [board for board in self._boards if board.last_full < index]
        return before[-1] if before else None

    def _tell(self, board: Board, event: AnyEvent, console: Console) -> None:
        result = event.data.result
        colour = {"ok": "green", "ng": "red"}.get(result, "yellow")
        labels = ", ".join(defect.label for defect in event.data.defects)
        drawn = ", ".join(defect.kind for defect in board.defects) or "nothing"
        mark = "[green]✓[/]" if result == board.verdict else "[bold red]✗[/]"
        console.print(
            f"board {board.part_id + 1:>3}  [{colour}]{result.upper():<6}[/]  {labels:<34} "
            f"[dim]drawn: {drawn}[/] {mark}",
            soft_wrap=True,
        )

    def _compare(self, summary: Summary) -> None:
        for board in self._boards:
            seen = self._seen[board.part_id]
            results = [event.data.result for event in seen.verdicts]
            summary.judged += len(results) == 1
            if results == [board.verdict]:
                summary.right += 1
            else:
                got = ", ".join(results) or "none"
                summary.wrong.append(f"board {board.part_id + 1}: verdict {got}, drawn as {board.verdict}")
            found = self._matched(board, seen.defects)
            summary.found += found
            summary.missed += len(board.defects) - found
            summary.false += len(seen.defects) - found
            if self._out is not None:
                self._draw(self._out, board, seen)

    def _matched(self, board: Board, events: list[AnyEvent]) -> int:
        """How many drawn defects were found: same kind, and near in the direction in which the belt does not move."""
        left = list(events)
        index = (board.first_full + board.last_full) // 2
        (view,) = [item for item in self._scene.truth(index) if item.part_id == board.part_id]
        found = 0
        for truth in view.defects:
            middle = (truth.xyxy[1] + truth.xyxy[3]) / 2
            for event in left:
                box = event.data.box
                if event.data.label == truth.label and abs((box[1] + box[3]) / 2 - middle) <= _NEAR_PX:
                    left.remove(event)
                    found += 1
                    break
        return found

    def _draw(self, folder: Path, board: Board, seen: Seen) -> None:
        """The board in mid-view: what was drawn as thin boxes, the verdict on top."""
        index = (board.first_full + board.last_full) // 2
        picture = self._scene.render(index)
        found = {event.data.label for event in seen.defects}
        taken: list[Box] = []
        for view in self._scene.truth(index):
            for truth in view.defects if view.part_id == board.part_id else ():
                x1, y1, x2, y2 = (round(value) for value in truth.xyxy)
                colour = (60, 60, 235) if truth.label in found else (0, 140, 220)
                cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
                plate(picture, truth.label, (x1, y1, x2, y2), colour, taken)
        result = seen.verdicts[0].data.result.upper() if seen.verdicts else "NO VERDICT"
        colour = (80, 190, 70) if result == "OK" else (60, 60, 235)
        cv2.putText(picture, result, (18, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.2, colour, 3, cv2.LINE_AA)
        file = folder / f"board-{board.part_id + 1:03d}.png"
        if not cv2.imwrite(str(file), picture):
            msg = f"{file}: cannot be written"
            raise EdgevisionError(msg)


def ended(daemon: subprocess.Popen[bytes], timeout_s: float = STOP_TIMEOUT_S) -> str | None:
    """Stop the daemon, by force when it takes longer than ``timeout_s``; what was wrong with its end."""
    daemon.terminate()
    try:
        code = daemon.wait(timeout_s)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        return f"the daemon did not stop within {timeout_s:.0f} s and was killed"
    return None if code == 0 else f"the daemon ended with exit code {code}"


def table(summary: Summary) -> Table:
    """The summary for a person."""
    document = summary.document()
    out = Table(show_header=False, title="drawn truth against received events", title_justify="left")
    out.add_row(
        "boards", f"{summary.boards}: {summary.judged} with exactly one verdict, {summary.right} with the right one"
    )
    out.add_row(
        "defects", f"{summary.defects} drawn: {summary.found} found, {summary.missed} missed, {summary.false} false"
    )
    out.add_row("events", f"{summary.events} received over MQTT, {summary.gaps} missing")
    for name, text in (("latency", "frame → event on disk"), ("delivery", "published → consumer")):
        p50, p99 = document[f"{name}_p50_ms"], document[f"{name}_p99_ms"]
        out.add_row(name, f"{text}: p50 {p50} ms, p99 {p99} ms")
    out.add_row("time", f"{summary.seconds:.0f} s")
    for line in summary.wrong:
        out.add_row("[red]wrong[/]", line)
    out.add_row("result", "[bold green]every check passed[/]" if summary.good else "[bold red]the check failed[/]")
    return out
