"""Every way to run a bundle is found and measured, and power is read where the kernel shows it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_process import edgevision, error_of
from onnx_models import colour_bundle

from edgevision.inference.base import Batch
from edgevision.inference.bench import speeds
from edgevision.inference.choices import choices
from edgevision.inference.power import card_temperatures, total, watts
from edgevision.types import Detections


def test_artefacts_meet_the_backends_they_are_meant_for(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    found = [(choice.backend, choice.artefact.file) for choice in choices(bundle)]
    assert ("onnx cpu", "model.onnx") in found
    only = colour_bundle(tmp_path / "t", artefacts=[{"file": "model.onnx", "targets": ["tensorrt"]}])
    assert list(choices(only)) == []
    open_ = colour_bundle(tmp_path / "u", artefacts=[{"file": "model.onnx", "gate": "not decidable"}])
    assert list(choices(open_)) == []
    assert ("onnx cpu", "model.onnx") in [(item.backend, item.artefact.file) for item in choices(open_, undecided=True)]


def test_speeds_are_measured_for_every_size_that_is_taken(tmp_path: Path) -> None:
    detectors = [choice.open() for choice in choices(colour_bundle(tmp_path), threads=1, max_batch=4)]
    for speed in speeds(detectors, (1, 4, 8), rounds=5):
        assert 0 < speed.p50_ms <= speed.p90_ms <= speed.p99_ms
        assert set(speed.per_second) == {1, 4}


def test_power_is_that_of_one_detector_alone(tmp_path: Path) -> None:
    class Noted:
        """Writes down who ran."""

        def __init__(self, name: str) -> None:
            self.name, self.detector = name, next(choices(colour_bundle(tmp_path / name))).open()
            self.input, self.max_batch, self.classes = self.detector.input, 1, self.detector.classes

        def infer(self, batch: Batch) -> list[Detections]:
            ran.append(self.name)
            return self.detector.infer(batch)

        def close(self) -> None:
            self.detector.close()

    def read() -> dict[str, float]:
        return {"board": 5.0 if ran[-1] == "a" else 7.0}

    ran: list[str] = []
    first, second = speeds([Noted("a"), Noted("b")], (1,), rounds=5, power=read)
    assert (first.watts, second.watts) == ({"board": pytest.approx(5.0)}, {"board": pytest.approx(7.0)})
    began = ran.index("a", 12)  # behind the turns
    assert "b" not in ran[began : len(ran) - ran[::-1].index("a")], "nobody else runs meanwhile"
    assert speeds([Noted("c")], (1,), rounds=5, power=dict)[0].watts == {}


def test_cards_tell_what_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        """As NVML's package has it."""

    def draws(card: int) -> int:
        if card:
            raise NVMLError
        return 61_500

    module = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetPowerUsage=draws,
        nvmlDeviceGetTemperature=lambda card, _sensor: 40 + card,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert watts(tmp_path) == {"gpu 0": 61.5}
    assert card_temperatures() == {"gpu 0": 40.0, "gpu 1": 41.0}


def test_rails_and_power_sensors_are_read_and_broken_ones_left_out(tmp_path: Path) -> None:
    rails, other = tmp_path / "hwmon0", tmp_path / "hwmon1"
    for folder in (rails, other):
        folder.mkdir()
    (rails / "name").write_text("ina3221\n")
    for number, label, volts, amperes in ((1, "VDD_IN", "5000", "2400"), (2, "VDD_SOC", "asleep", "100")):
        (rails / f"in{number}_label").write_text(f"{label}\n")
        (rails / f"in{number}_input").write_text(f"{volts}\n")
        (rails / f"curr{number}_input").write_text(f"{amperes}\n")
    (other / "name").write_text("amdgpu\n")
    (other / "power1_input").write_text("31500000\n")
    assert {name: value for name, value in watts(tmp_path).items() if not name.startswith("gpu ")} == {
        "VDD_IN": 12.0,
        "amdgpu power1": 31.5,
    }
    assert not [name for name in watts(tmp_path / "none") if not name.startswith("gpu ")]


def test_a_rail_that_feeds_the_others_is_the_whole_board(tmp_path: Path) -> None:
    rails = tmp_path / "hwmon0"
    rails.mkdir()
    (rails / "name").write_text("ina3221\n")
    for number, volts, amperes in ((1, 5000, 2400), (2, 5000, 1000), (4, 24, 3400)):
        (rails / f"in{number}_input").write_text(f"{volts}\n")
        (rails / f"curr{number}_input").write_text(f"{amperes}\n")
    (rails / "in1_label").write_text("VDD_IN\n")
    (rails / "in2_label").write_text("VDD_CPU_GPU_CV\n")
    found = {name: value for name, value in watts(tmp_path).items() if not name.startswith("gpu ")}
    assert found == {"VDD_IN": 12.0, "VDD_CPU_GPU_CV": 5.0}, "the fourth is the voltage of a shunt"
    assert total(found) == 12.0
    assert total({"CPU": 2.0, "SOC": 1.0, "gpu 0": 30.0}) == 33.0


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path).folder
    done = edgevision("models", "bench", folder, "--rounds", 5, "--batches", "1,2")
    assert done.returncode == 0, done.stderr
    assert "onnx cpu" in done.stdout
    assert "2: /s" in done.stdout
    told = json.loads(edgevision("models", "bench", folder, "--rounds", 5, "--json").stdout)
    assert isinstance(told["celsius"], dict)
    rows = told["rows"]
    assert rows[0]["precision"] == "fp32"
    assert rows[0]["p50_ms"] > 0
    assert "--batches none: expected numbers" in error_of(edgevision("models", "bench", folder, "--batches", "none"))
