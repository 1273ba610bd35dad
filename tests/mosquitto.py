"""A Mosquitto of the test's own: on a free port, killed and started again at will."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

SERVER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def refusing_subscriptions(folder: Path, *topics: str) -> list[str]:
    """Settings under which anybody may do anything but subscribe to these topics; no ACL file can say that."""
    plugin = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("Mosquitto's dynamic security is not installed")
    acls = [{"acltype": "subscribeLiteral", "topic": topic, "allow": False} for topic in topics]
    access = dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True)
    document = {
        "roles": [{"rolename": "anybody", "acls": acls}],
        "groups": [{"groupname": "anybody", "roles": [{"rolename": "anybody"}]}],
        "anonymousGroup": "anybody",
        "defaultACLAccess": access,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "security.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return ["allow_anonymous true", f"plugin {plugin}", f"plugin_opt_config_file {path}"]


class Mosquitto:
    """A broker on 127.0.0.1.

    Args:
        folder: Where its files go.
        port: A free port.
        lines: More lines for its settings; without any anybody may do anything.
    """

    def __init__(self, folder: Path, port: int, *lines: str) -> None:
        if not Path(SERVER).exists():
            pytest.skip("Mosquitto is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._config = folder / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []
        text = [f"listener {port} 127.0.0.1", *user, *(lines or ("allow_anonymous true",))]
        self._config.write_text("\n".join(text) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        self._process = subprocess.Popen([SERVER, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline_s, "Mosquitto does not start"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
