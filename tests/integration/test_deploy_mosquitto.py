"""Mosquitto with the shipped configuration keeps what an absent consumer has not read, over a restart too."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[2] / "deploy/mosquitto/mosquitto.conf"
BROKER = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
CLIENTS = shutil.which("mosquitto_sub") and shutil.which("mosquitto_pub")
EVENTS = 1500  # more than the 1,000 that Mosquitto keeps by default

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(BROKER is None or not CLIENTS, reason="Mosquitto and its clients are not installed"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def broker(config: Path, port: int) -> Iterator[None]:
    assert BROKER is not None
    process = subprocess.Popen([BROKER, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, "mosquitto refused the shipped configuration"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_absent_consumer_gets_everything_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    store = tmp_path / "data"
    store.mkdir()
    store.chmod(0o777)  # started as root, Mosquitto becomes its own user
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    config = tmp_path / "mosquitto.conf"
    shipped = CONFIG.read_text(encoding="utf-8")
    assert "/mosquitto/data/" in shipped
    config.write_text(
        shipped.replace("/mosquitto/data/", f"{store}/").replace("listener 1883", f"listener {port} 127.0.0.1"),
        encoding="utf-8",
    )
    config.chmod(0o644)
    session = ["-p", str(port), "-q", "1", "-t", "edgevision/#", "-i", "accounting", "-c"]
    with broker(config, port):
        subprocess.run(["mosquitto_sub", *session, "-E"], check=True, timeout=20)
        lines = "".join(f"{number}\n" for number in range(EVENTS))
        publish = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", "edgevision/a/b/c/traffic/crossed", "-l"]
        subprocess.run(publish, input=lines, text=True, check=True, timeout=60)
    with broker(config, port):
        read = ["mosquitto_sub", *session, "-C", str(EVENTS), "-W", "30"]
        got = subprocess.run(read, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    assert got == [str(number) for number in range(EVENTS)]
