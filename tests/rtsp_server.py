"""A real RTSP server for tests: GStreamer's, under the system's Python, as a process of its own.

As a module it offers ``RtspServer``; as a script (``/usr/bin/python3 rtsp_server.py PORT PIPELINE``) it serves.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

SYSTEM_PYTHON = "/usr/bin/python3"
PATTERN = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
_BALL = (
    "videotestsrc is-live=true pattern=ball num-buffers=75 ! video/x-raw,width={},height={},framerate=25/1 ! {} ! {}"
)
_ENCODER = "x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! video/x-h264,stream-format=byte-stream"
CORRUPT = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1"
    f" ! {_ENCODER} ! breakmydata skip=30000 probability=0.002"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
"""A ball whose packets are damaged after the first second or so."""
RESIZED = (
    "( concat name=both ! rtph264pay name=pay0 pt=96 config-interval=1 "
    + " ".join(
        _BALL.format(*size, _ENCODER, "h264parse config-interval=-1 ! both.") for size in ((320, 240), (640, 480))
    )
    + " )"
)
"""Three seconds of 320x240, then of 640x480, in one stream."""
RARE_KEYS = PATTERN.replace("key-int-max=10", "key-int-max=100")
"""A keyframe every four seconds."""
H264_FILE = "( filesrc location={} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"


def available() -> bool:
    """Whether the system has GStreamer's RTSP server for Python."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class RtspServer:
    """Serves ``file`` (H.264 in MP4) or a pipeline at ``url``; can be killed, frozen and started again on its port."""

    def __init__(self, file: Path | None = None, port: int | None = None, pipeline: str = PATTERN) -> None:
        self._pipeline = pipeline if file is None else H264_FILE.format(file)
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        command = [SYSTEM_PYTHON, __file__, str(self.port), self._pipeline]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.strip() != "ready":
            msg = f"the RTSP server did not start: {line!r}"
            raise RuntimeError(msg)

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            self._process = None

    def freeze(self) -> None:
        """Stop it where it stands: connections stay open and nothing comes."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> RtspServer:  # noqa: PYI034 - Self is new in Python 3.11
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _serve(port: str, launch: str) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(launch)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
