"""Every way to run a bundle is found and measured, and power is read where the kernel shows it."""

from __future__ import annotations

import json
from pathlib import Path

from cli_process import edgevision, error_of
from onnx_models import colour_bundle

from edgevision.inference.bench import speeds
from edgevision.inference.choices import choices
from edgevision.inference.power import total, watts


def test_artefacts_meet_the_backends_they_are_meant_for(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    found = [(choice.backend, choice.artefact.file) for choice in choices(bundle)]
    assert ("onnx cpu", "model.onnx") in found
    only = colour_bundle(tmp_path / "t", artefacts=[{"file": "model.onnx", "targets": ["tensorrt"]}])
    assert list(choices(only)) == []
    open_ = colour_bundle(tmp_path / "u", artefacts=[{"file": "model.onnx", "gate": "not decidable"}])
    assert list(choices(open_)) == []


def test_speeds_are_measured_for_every_size_that_is_taken(tmp_path: Path) -> None:
    detectors = [choice.open() for choice in choices(colour_bundle(tmp_path), threads=1, max_batch=4)]
    for speed in speeds(detectors, (1, 4, 8), rounds=5):
        assert 0 < speed.p50_ms <= speed.p90_ms <= speed.p99_ms
        assert set(speed.per_second) == {1, 4}


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
    rows = json.loads(edgevision("models", "bench", folder, "--rounds", 5, "--json").stdout)["rows"]
    assert rows[0]["precision"] == "fp32"
    assert rows[0]["p50_ms"] > 0
    assert "--batches none: expected numbers" in error_of(edgevision("models", "bench", folder, "--batches", "none"))
