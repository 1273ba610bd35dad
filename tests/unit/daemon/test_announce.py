"""The device's own events."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from camera_units import camera_unit

from edgevision.daemon.announce import Announcer
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockChange
from edgevision.daemon.load import Load
from edgevision.events.build import EventBuilder
from edgevision.events.codec import decode
from edgevision.events.memory import MemoryOutbox
from edgevision.sources.base import SourceState


class Rig:
    """An announcer and what it said."""

    def __init__(self) -> None:
        builder = EventBuilder("plant1", "box7", "c" * 12)
        self._outbox = MemoryOutbox(builder)
        self.announcer = Announcer(self._outbox, builder)
        self.retained: list[tuple[str, Mapping[str, Any]]] = []

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        """(topic, data) of each event; every one is valid by the contract."""
        events = self._outbox.claim(100, "strict")
        for event in events:
            decode(event.body)
        return [(event.topic, json.loads(event.body)["data"]) for event in events]


def camera(state: SourceState, reason: str = "") -> CameraUnit:
    made = camera_unit("door", live=True)
    made.state, made.reason = state, reason
    return made


def test_a_cameras_state_is_told_when_it_changes_and_kept_for_those_who_come_later() -> None:
    rig = Rig()
    rig.announcer.retain = lambda topic, document: rig.retained.append((topic, document))
    rig.announcer.camera(camera(SourceState.ONLINE))
    rig.announcer.camera(camera(SourceState.ONLINE))
    rig.announcer.camera(camera(SourceState.RECONNECTING, "no frame for 5 s"))
    assert [(topic, data["state"], data.get("previous")) for topic, data in rig.said()] == [
        ("edgevision/plant1/box7/door/health/camera", "online", None),
        ("edgevision/plant1/box7/door/health/camera", "reconnecting", "online"),
    ]
    assert [topic for topic, _ in rig.retained] == ["edgevision/plant1/box7/door/state"] * 2
    assert rig.retained[1][1] == {"state": "reconnecting", "reason": "no frame for 5 s"}


def test_what_is_kept_of_a_camera_is_what_was_told_last() -> None:
    rig, others = Rig(), []

    def retain(topic: str, document: Mapping[str, Any]) -> None:
        if document["state"] == "online":  # meanwhile another thread tells more
            other = threading.Thread(target=rig.announcer.camera, args=(camera(SourceState.FAILED, "gone"),))
            other.start()
            other.join(0.5)
            others.append(other)
        rig.retained.append((topic, document))

    rig.announcer.retain = retain
    rig.announcer.camera(camera(SourceState.ONLINE))
    others[0].join(10)
    assert [document["state"] for _, document in rig.retained] == ["online", "failed"]


def test_the_start_carries_where_the_boot_before_ended() -> None:
    rig = Rig()
    bootid = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
    topic = "edgevision/plant1/box7/door/traffic/crossed"
    rig.announcer.started({"bootid": bootid, "last": {topic: f"{41:020d}"}})
    ((_, data),) = rig.said()
    assert data["previous"] == {"bootid": bootid, "last": {topic: f"{41:020d}"}}


def test_clock_load_and_selftest_speak_for_the_device_or_the_camera_they_are_about() -> None:
    rig = Rig()
    rig.announcer.clock(ClockChange(3600.0, synced=True))
    rig.announcer.load("door", Load("overloaded", 1.5, 2.0, "frames/s"))
    rig.announcer.load("device", Load("ok"))
    rig.announcer.selftest("pcb@1#0123456789ab", "onnx cpu", ["board-1.png: a box is missing"], 4)
    said = dict(rig.said())
    clock = said["edgevision/plant1/box7/device/health/clock"]
    assert (clock["offset_s"], clock["synced"]) == (3600.0, True)
    assert said["edgevision/plant1/box7/door/health/load"]["value"] == 1.5
    assert said["edgevision/plant1/box7/device/health/load"]["state"] == "ok"
    test = said["edgevision/plant1/box7/device/health/selftest"]
    assert (test["passed"], test["pictures"], test["detail"]) == (False, 4, "board-1.png: a box is missing")
