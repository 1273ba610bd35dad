"""`edgevision config`, and the files under configs/."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from daemon_process import write_settings
from typer.testing import CliRunner

from edgevision.cli.config import app
from edgevision.config.load import load_daemon
from edgevision.daemon.registry import config_reference, config_schema, registry
from edgevision.training.reference import train_reference, train_schema

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
REFERENCE = CONFIGS.parent / "docs" / "settings.md"
SCHEMA = CONFIGS / "schema" / "daemon.schema.json"


def test_the_written_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == config_schema(), (
        "run: edgevision config schema --out configs/schema/..."
    )


def test_what_is_written_of_trainings_is_current() -> None:
    assert (CONFIGS / "schema" / "train.schema.json").read_text(encoding="utf-8") == train_schema(), (
        "run: edgevision config schema --of train --out configs/schema/train.schema.json"
    )
    page = CONFIGS.parent / "docs" / "train-settings.md"
    assert page.read_text(encoding="utf-8") == train_reference(), (
        "run: edgevision config schema --of train --markdown --out docs/train-settings.md"
    )


def test_there_are_no_settings_of_other_things() -> None:
    result = CliRunner().invoke(app, ["schema", "--of", "cameras"])
    assert "allowed: daemon, train" in str(result.exception)


def test_the_written_reference_is_current_and_its_links_lead_somewhere() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert text == config_reference(), "run: edgevision config schema --markdown --out docs/settings.md"
    headings = {
        re.sub(r"[^a-z0-9 _-]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_is_good(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(tmp_path)  # and a bundle that knows people
    monkeypatch.setenv("PEOPLE_MODEL", str(tmp_path / "people"))
    for name in ("CAMERA_USER", "CAMERA_PASSWORD", "MQTT_PASSWORD"):
        monkeypatch.setenv(name, "told by the operator")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0, result.output


def test_the_schema_finds_what_the_loader_finds() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    document = {
        "site": "a",
        "device": "b",
        "models": {"m": {"bundle": "x"}},
        "cameras": {"c": {"source": {"kind": "file", "path": "v.mp4"}, "model": "m"}},
    }
    jsonschema.validate(document, schema)
    for spoilt in ({**document, "extra": 1}, {**document, "site": "Not A Name"}, {**document, "cameras": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt, schema)


def test_check_tells_all_problems_and_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("site: A\ncameras: {c: {source: {kind: fiel}, model: m}}\nextra: 1\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(file), "--json"])
    assert result.exit_code == 1
    problems = json.loads(result.output)["problems"]
    assert {problem["path"] for problem in problems} >= {"site", "cameras.c.source.kind", "extra", "device", "models"}


def test_check_tells_of_a_broken_bundle_as_of_any_problem(tmp_path: Path) -> None:
    (tmp_path / "pcb").mkdir()
    (tmp_path / "pcb" / "bundle.yaml").write_text("name: [", encoding="utf-8")
    text = (CONFIGS / "demo.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    for model in document["models"].values():
        model["bundle"] = "pcb"
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(file), "--json"])
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert not answer["ok"]
    assert "not readable as YAML" in answer["problems"][0]["message"]


def test_show_fills_in_defaults_and_masks_secrets(tmp_path: Path) -> None:
    text = (CONFIGS / "demo.yaml").read_text(encoding="utf-8").replace("../models", str(CONFIGS.parent / "models"))
    text = text.replace("  host: 127.0.0.1\n", "  host: 127.0.0.1\n  username: u\n  password: hush\n")
    file = tmp_path / "demo.yaml"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["show", str(file)])
    assert result.exit_code == 0, result.output
    assert "hush" not in result.output
    assert yaml.safe_load(result.output)["mqtt"]["keepalive_s"] == 15


def test_show_masks_the_passwords_of_a_pipeline(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    text = (CONFIGS / "demo.yaml").read_text(encoding="utf-8").replace("../models", str(CONFIGS.parent / "models"))
    document = yaml.safe_load(text)
    pipeline = "rtspsrc location=rtsp://u:hush@cam/1 user-pw=hush ! decodebin"
    (camera,) = document["cameras"].values()
    camera["source"] = {"kind": "gstreamer", "pipeline": pipeline}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    result = CliRunner().invoke(app, ["show", str(file)])
    assert result.exit_code == 0, result.output
    assert "hush" not in result.output
    assert "rtsp://**********@cam/1 user-pw=********** ! decodebin" in result.output
    settings = load_daemon(file, registry())
    (shown,) = settings.cameras.values()
    assert getattr(shown.source, "pipeline", None) == pipeline
