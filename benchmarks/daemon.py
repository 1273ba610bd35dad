"""How near the daemon comes to the bare model, what our Python costs, and how soon an event is acknowledged.

    python benchmarks/daemon.py [--only throughput overhead latency start peers] [--quick] [--onnx FILE --video FILE]

``throughput``: 1 to 8 cameras of one video, no frame dropped. The bound is 1 / (m + d / cores) frames a second: m is
the wall time of a frame in the bare model, which uses all cores, at its best batch size; d is the CPU time of decoding
and scaling one frame. Both are measured in the same round as the daemon, before and after it.
``overhead``: CPU time from detections to drafted events for tracker, two lines, two zones and lifecycle.
``latency``: from the append of an event to the broker's acknowledgement at the outbox, while inference runs beside it;
needs Mosquitto. ``start``: a daemon in a process of its own, from its start to its first event of a detection, and its
peak memory. ``peers``: the same ONNX file and video through ``ultralytics``' predict and track, rounds taken in turn;
needs ``ultralytics``, ``--onnx`` and ``--video``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.detection import Detection
from edgevision.analytics.tracking import ByteTrack
from edgevision.analytics.traffic import Traffic
from edgevision.bundle import read_bundle
from edgevision.config.load import load_daemon
from edgevision.daemon.assemble import Assembly
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.daemon.registry import registry
from edgevision.events.build import EventBuilder
from edgevision.events.outbox import OutboxSettings, SqliteOutbox
from edgevision.inference.importer import Said, import_onnx
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.preprocess import single_batch
from edgevision.logs import setup_logging
from edgevision.media.pixels import ArrayPixels
from edgevision.mqtt.relay import Relay
from edgevision.mqtt.settings import MqttSettings
from edgevision.scenes.pcb import PcbConveyor
from edgevision.sources.base import SourceContext
from edgevision.sources.file import FileSource
from edgevision.types import Detections, Frame, FrameTime, Occurrence

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "models" / "pcb-defects"
CORES = len(os.sched_getaffinity(0))
PARTS = ("throughput", "overhead", "latency", "start", "peers")
QUALITY = {"camera": "ok", "time_source": "arrival", "time_uncertainty_ms": 40.0, "clock_synced": True}
DATA = {"line": "door", "direction": "in", "track_id": 12, "label": "person", "score": 0.87, "box": [1.5, 2, 3, 4]}
START_TIMEOUT_S = 60.0
POLL_S = 0.02  # the daemon itself looks every 0.1 s
Rows = list[tuple[str, str, str]]

CONFIG = """\
site: bench
device: box
models:
  pcb: {{bundle: {bundle}}}
cameras:
{cameras}
outbox: {{path: {folder}/outbox.sqlite}}
http: null
log: {{level: error}}
"""
CAMERA = """\
  cam{n}:
    source: {{kind: file, path: {video}}}
    model: pcb
    analyses: [{{kind: detection}}]
"""


def write_video(file: Path, frames: int, *, still: bool = False) -> Path:
    """A drawn belt as H.264, 768x576; or one defective board that stands still, which is detected at once."""
    scene = PcbConveyor(3, boards=4, defect_rate=1.0)
    board = scene.boards[0]
    middle = (board.first_full + board.last_full) // 2
    pictures = [scene.render(middle + step) for step in ([0] if still else range(-12, 12))]
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(pictures[index % len(pictures)], format="bgr24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return file


def open_file(video: Path) -> Iterator[Frame]:
    """Its frames, as a camera of the daemon gets them."""
    context = SourceContext("cam", None, datetime.now(timezone.utc))
    return FileSource(FileSource.Settings(path=video), context).frames()


def model_s(detector: OnnxDetector, video: Path, frames: int) -> float:
    """Wall time of one frame in the bare model, at the batch size that suits it best."""
    one = single_batch([next(open_file(video))], detector.input)
    best = float("inf")
    for size in (1, 2, detector.max_batch):
        batch = type(one)(np.repeat(one.images, size, axis=0), list(one.boxes) * size)
        detector.infer(batch)
        began, rounds = time.perf_counter(), max(2, frames // size)
        for _ in range(rounds):
            detector.infer(batch)
        best = min(best, (time.perf_counter() - began) / rounds / size)
    return best


def decode_s(detector: OnnxDetector, video: Path) -> float:
    """CPU time of decoding and scaling one frame."""
    spec, count, began = detector.input, 0, time.process_time()
    for frame in open_file(video):
        single_batch([frame], spec)
        count += 1
    return (time.process_time() - began) / count


def daemon_fps(folder: Path, video: Path, cameras: int, frames: int) -> float:
    """Frames a second of the daemon from the model's readiness to the last frame."""
    folder.mkdir()
    file = folder / "bench.yaml"
    names = "".join(CAMERA.format(n=n, video=video) for n in range(cameras))
    file.write_text(CONFIG.format(bundle=BUNDLE, folder=folder, cameras=names), encoding="utf-8")
    assembly = Assembly(load_daemon(file, registry()), folder, reload=dict)
    assembly.daemon.start()
    ready = lambda: next(c.ok for c in assembly.board.report().components if c.name == "model/pcb")  # noqa: E731
    while not ready():
        time.sleep(0.002)
    began = time.perf_counter()
    while not assembly.daemon.done():
        time.sleep(POLL_S)  # each look costs the daemon's own time too
        assembly.daemon.poll()
    took = time.perf_counter() - began
    assembly.daemon.stop()
    assembly.close()
    return cameras * frames / took


def throughput(folder: Path, *, quick: bool) -> tuple[Rows, dict[str, Any]]:
    """The daemon beside the bare model and decoder."""
    rows, numbers, total = [], {}, 64 if quick else 320
    detector = OnnxDetector(read_bundle(BUNDLE), OnnxSettings(max_batch=4))
    for cameras in (1, 4) if quick else (1, 2, 4, 8):
        frames = total // cameras
        video = write_video(folder / f"{cameras}.mp4", frames)
        ratios, rates = [], []
        for turn in range(1 if quick else 3):
            before = (model_s(detector, video, 24), decode_s(detector, video))
            rates.append(daemon_fps(folder / f"{cameras}-{turn}", video, cameras, frames))
            after = (model_s(detector, video, 24), decode_s(detector, video))
            m, d = ((one + other) / 2 for one, other in zip(before, after, strict=True))
            ratios.append(rates[-1] * (m + d / CORES))
        ratio = statistics.median(ratios)
        numbers[str(cameras)] = {"ratio": round(ratio, 3), "fps": round(statistics.median(rates), 2),
                                 "model_ms": round(m * 1e3, 2), "decode_cpu_ms": round(d * 1e3, 2)}  # fmt: skip
        what = f"{statistics.median(rates):.1f} fps, {ratio:.3f} of the bound"
        rows.append((f"throughput, {cameras} camera{'s' * (cameras > 1)}", what, "≥ 0.95"))
    return rows, numbers


def overhead(_folder: Path, *, quick: bool) -> tuple[Rows, dict[str, Any]]:
    """CPU time of our Python for one frame of moving objects that cross lines and zones."""
    lines = {"a": {"from": [0.3, 0], "to": [0.3, 1]}, "b": {"from": [0.7, 0], "to": [0.7, 1]}}
    zones = {"c": {"polygon": [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]},
             "d": {"polygon": [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]]}}  # fmt: skip
    rows, numbers = [], {}
    for objects, budget in ((20, 0.4), (80, 0.8)):
        context = AnalysisContext("cam", ("person",))
        traffic = Traffic(Traffic.Settings.model_validate({"lines": lines, "zones": zones}), context)
        pipeline = CameraPipeline(
            "cam", ByteTrack(ByteTrack.Settings()), [traffic, Detection(Detection.Settings(), context)]
        )
        builder = EventBuilder("bench", "box", "0123456789ab")
        rng = np.random.default_rng(1)
        at, step = rng.uniform(0, [1800, 980], (objects, 2)), rng.normal(0, 6, (objects, 2))
        size = rng.uniform(40, 90, (objects, 2))
        costs, events = [], 0
        picture = ArrayPixels(np.zeros((1080, 1920, 3), np.uint8))
        for index in range(300 if quick else 1500):
            at = (at + step) % [1800, 980]
            xyxy = np.concatenate([at, at + size], axis=1).astype(np.float32)
            found = Detections(xyxy, np.full(objects, 0.9, np.float32), np.zeros(objects, np.int64))
            frame = Frame("cam", index, FrameTime(datetime.now(timezone.utc), index / 25), picture)
            began = time.thread_time()
            for occurrence in pipeline.step(frame, found):
                builder.draft(occurrence, camera="cam", model="person@1#0123456789ab", quality=QUALITY)
                events += 1
            costs.append((time.thread_time() - began) * 1e3)
        middle = statistics.median(costs[50:])
        numbers[str(objects)] = {"median_ms": round(middle, 3), "mean_ms": round(statistics.mean(costs[50:]), 3),
                                 "events_per_frame": round(events / len(costs), 2)}  # fmt: skip
        rows.append((f"our Python, {objects} objects", f"{middle:.2f} ms a frame", f"≤ {budget} ms"))
    return rows, numbers


class _Timed(SqliteOutbox):
    """Notes when the broker has acknowledged."""

    acknowledged: dict[int, float]

    def done(self, rowids: Any) -> None:  # noqa: ANN401 - as the outbox has it
        now = time.perf_counter()
        self.acknowledged.update(dict.fromkeys(rowids, now))
        super().done(rowids)


def latency(folder: Path, *, quick: bool) -> tuple[Rows, dict[str, Any]]:
    """Append → acknowledged by a local Mosquitto, with the model busy beside it."""
    server = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(server).exists():
        return [("result → acknowledged", "left out: Mosquitto is not installed", "")], {}
    rows, numbers = [], {}
    for durability in ("crash", "power_loss"):
        with _mosquitto(server, folder / durability) as port:
            waits = _latencies(folder / durability, port, durability, 100 if quick else 600)
        p50, p99 = statistics.median(waits), float(np.percentile(waits, 99))
        numbers[durability] = {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}
        budget = "p99 ≤ 15 ms" if durability == "crash" else ""
        rows.append((f"result → acknowledged, {durability}", f"p50 {p50:.1f}, p99 {p99:.1f} ms", budget))
    return rows, numbers


def _latencies(folder: Path, port: int, durability: str, count: int) -> list[float]:
    builder = EventBuilder("bench", "box", "0123456789ab")
    settings = OutboxSettings.model_validate({"path": folder / "o.sqlite", "durability": durability})
    outbox = _Timed(settings, builder)
    outbox.acknowledged = {}
    relay = Relay(
        outbox, MqttSettings(host="127.0.0.1", port=port), site="bench", device="box", birth={}, commands=None
    )
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in (relay.run, _infer_forever)]
    for thread in threads:
        thread.start()
    while not relay.health().ok:
        time.sleep(0.01)
    appended = []
    for _ in range(count):
        now = datetime.now(timezone.utc)
        occurrence = Occurrence("traffic", "crossed", FrameTime(now, 0.0), DATA, size=(1920, 1080))
        draft = builder.draft(occurrence, camera="cam", model="m@1#0123456789ab", quality=QUALITY)
        appended.append(time.perf_counter())
        outbox.append([draft])
        time.sleep(0.03)
    deadline = time.monotonic() + 10
    while len(outbox.acknowledged) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    outbox.close()
    return [(outbox.acknowledged[rowid] - began) * 1e3 for rowid, began in enumerate(appended, 1)]


def _infer_forever(stop: threading.Event) -> None:
    detector = OnnxDetector(read_bundle(BUNDLE))
    spec = detector.input
    noise = ArrayPixels(np.random.default_rng(0).integers(0, 255, (spec.height, spec.width, 3), np.uint8))
    batch = single_batch([Frame("cam", 0, FrameTime(datetime.now(timezone.utc), 0), noise)], spec)
    while not stop.is_set():
        detector.infer(batch)


class _mosquitto:  # noqa: N801 - used as a function
    """A broker on a free port while the block lasts."""

    def __init__(self, server: str, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n",
            encoding="utf-8",
        )
        self._process = subprocess.Popen([server, "-c", str(config)], stderr=subprocess.DEVNULL)

    def __enter__(self) -> int:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self._port
            time.sleep(0.02)
        msg = "Mosquitto does not start"
        raise RuntimeError(msg)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def start(folder: Path, *, quick: bool) -> tuple[Rows, dict[str, Any]]:
    """From the process' start to its first event of a detection, and its peak memory."""
    video = write_video(folder / "start.mp4", 400, still=True)
    times, peaks = [], []
    for turn in range(2 if quick else 5):
        place = folder / f"start-{turn}"
        place.mkdir()
        file = place / "bench.yaml"
        text = CONFIG.format(bundle=BUNDLE, folder=place, cameras=CAMERA.format(n=0, video=video))
        file.write_text(text, encoding="utf-8")
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", "from edgevision.cli.main import main; main()", "run", str(file)]
        )
        try:
            while not _has_detection(place / "outbox.sqlite"):
                if process.poll() is not None or time.perf_counter() - began > START_TIMEOUT_S:
                    msg = f"the daemon saw nothing, exit code {process.poll()}"
                    raise RuntimeError(msg)
                time.sleep(0.01)
            times.append(time.perf_counter() - began)
            time.sleep(3)
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            peaks.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        finally:
            process.terminate()
            process.wait()
    warm, peak = statistics.median(times[1:]), max(peaks)
    rows = [("start → first detection, warm disk", f"{warm:.2f} s", "≤ 2 s"),
            ("peak memory, one CPU camera", f"{peak:.0f} MiB", "≤ 300 MB")]  # fmt: skip
    return rows, {"first_detection_s": round(warm, 2), "peak_mib": round(peak)}


def _has_detection(outbox: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as db:
            return (
                db.execute(
                    "SELECT 1 FROM events WHERE CAST(body AS TEXT) LIKE '%detection.appeared%' LIMIT 1"
                ).fetchone()
                is not None
            )
    except sqlite3.Error:
        return False


def peers(folder: Path, *, quick: bool, onnx: Path | None, video: Path | None) -> tuple[Rows, dict[str, Any]]:
    """The same ONNX file and video here and in ``ultralytics``, rounds in turn."""
    if onnx is None or video is None or importlib.util.find_spec("ultralytics") is None:
        return [("beside ultralytics", "left out: needs ultralytics, --onnx and --video", "")], {}
    from ultralytics import YOLO

    import_onnx(onnx, folder / "peer", Said("peer"))
    frames, rounds = (20, 2) if quick else (60, 5)
    detector = OnnxDetector(read_bundle(folder / "peer"), OnnxSettings(device="cpu"))
    theirs = YOLO(onnx, task="detect")

    def ours(*, track: bool) -> float:
        tracker = ByteTrack(ByteTrack.Settings())
        began = time.perf_counter()
        for frame in itertools.islice(open_file(video), frames):
            (found,) = detector.infer(single_batch([frame], detector.input))
            if track:
                tracker.update(found, frame.time.t_s)
        return frames / (time.perf_counter() - began)

    def other(call: Callable[..., Any]) -> float:
        results = call(str(video), stream=True, verbose=False, device="cpu")
        next(results)  # opens the model
        began = time.perf_counter()
        for _ in itertools.islice(results, frames):
            pass
        return frames / (time.perf_counter() - began)

    rows, numbers = [], {}
    for name, call in (("predict", theirs.predict), ("track", theirs.track)):
        pairs = [(ours(track=name == "track"), other(call)) for _ in range(rounds)]
        mine, his = (statistics.median(column) for column in zip(*pairs, strict=True))
        numbers[name] = {"ours_fps": round(mine, 2), "ultralytics_fps": round(his, 2), "ratio": round(mine / his, 2)}
        rows.append((f"beside ultralytics {name}", f"{mine:.1f} against {his:.1f} fps: {mine / his:.2f}x", ""))
    return rows, numbers


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it works")
    parser.add_argument("--onnx", type=Path, help="a YOLO exported by ultralytics, for `peers`")
    parser.add_argument("--video", type=Path, help="a video, for `peers`")
    options = parser.parse_args()
    setup_logging("error", "console")
    table = Table("what", "measured", "budget", title=f"daemon on {CORES} cores", title_justify="left")
    numbers: dict[str, Any] = {"cores": CORES}
    parts: dict[str, Callable[..., tuple[Rows, dict[str, Any]]]] = {
        "throughput": throughput, "overhead": overhead, "latency": latency, "start": start,
        "peers": lambda folder, quick: peers(folder, quick=quick, onnx=options.onnx, video=options.video),
    }  # fmt: skip
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            rows, numbers[name] = parts[name](Path(folder), quick=options.quick)
        for row in rows:
            table.add_row(*row)
    Console().print(table)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
