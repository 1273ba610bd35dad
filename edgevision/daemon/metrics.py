"""What Prometheus sees."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from edgevision.daemon.thermal import temperatures

_LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """All counters of one daemon, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reg = self.registry
        self.frames = Counter("edgevision_frames_total", "Frames inferred", ["camera"], registry=reg)
        self.drops = Counter("edgevision_frames_dropped_total", "Frames dropped", ["camera", "reason"], registry=reg)
        self.fps = Gauge("edgevision_fps", "Frames inferred per second, last ten seconds", ["camera"], registry=reg)
        self.online = Gauge("edgevision_camera_online", "1 while frames come", ["camera"], registry=reg)
        self.reconnects = Counter("edgevision_reconnects_total", "Camera reconnects", ["camera"], registry=reg)
        self.stage_seconds = Histogram(
            "edgevision_stage_seconds", "Time per frame by stage", ["stage"], registry=reg, buckets=_LATENCY_BUCKETS
        )
        self.events = Counter("edgevision_events_total", "Events appended", ["camera", "family", "name"], registry=reg)
        self.refused = Counter(
            "edgevision_occurrences_refused_total", "Occurrences that are no events", ["camera"], registry=reg
        )
        self.triggers = Counter("edgevision_triggers_total", "Inspection triggers", ["camera"], registry=reg)
        self.verdicts = Counter("edgevision_verdicts_total", "Verdicts", ["camera", "result", "reason"], registry=reg)
        self.actuations = Counter(
            "edgevision_actuations_total", "Verdicts given to the actuator", ["camera", "outcome"], registry=reg
        )
        self.restarts = Counter("edgevision_stage_restarts_total", "Crashed stages restarted", ["stage"], registry=reg)
        self.clock_steps = Counter("edgevision_clock_steps_total", "Jumps of the wall clock", registry=reg)
        self.registry.register(_Temperatures())

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when Prometheus asks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def forget_camera(self, camera: str) -> None:
        """Drop the gauges of a camera that is gone; counters stay, since Prometheus expects them to."""
        for gauge in (self.fps, self.online):
            with contextlib.suppress(KeyError):
                gauge.remove(camera)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _Temperatures(Collector):
    """Thermal zones of the machine, read from sysfs; zones that cannot be read are left out."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("edgevision_temperature_celsius", "Thermal zones of the device", labels=["zone"])
        for zone, celsius in temperatures().items():
            family.add_metric([zone], celsius)
        yield family
