"""systemd's notification socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edgevision.daemon.notify import notify, watchdog_interval_s


def test_a_message_reaches_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify("READY=1")
        assert receiver.recv(100) == b"READY=1"
    Path(address).unlink()
    assert not notify("READY=1")


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


@pytest.mark.parametrize(("given", "wanted"), [("30000000", 15.0), ("", None), ("x", None), ("0", None)])
def test_the_watchdog_is_fed_at_half_its_time(
    monkeypatch: pytest.MonkeyPatch, given: str, wanted: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", given)
    assert watchdog_interval_s() == wanted
