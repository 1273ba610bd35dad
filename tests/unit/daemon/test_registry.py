"""What a settings file may name, ours and foreign."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgevision.config.load import load_daemon
from edgevision.daemon import registry as registry_module
from edgevision.daemon.registry import ANALYSES, SOURCES, build, check_cameras, config_schema, registry
from edgevision.errors import ConfigError

BUNDLE = Path(__file__).parents[3] / "models" / "pcb-defects"

TEXT = """\
site: s
device: d
models: {{pcb: {{bundle: {bundle}}}}}
cameras:
  line:
    source: {{kind: scene, scene: pcb}}
    model: pcb
    analyses:
{analyses}
outbox: {{path: outbox.sqlite}}
"""


def written(folder: Path, analyses: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(TEXT.format(bundle=BUNDLE, analyses=analyses), encoding="utf-8")
    return file


def test_every_kind_has_settings_that_name_it() -> None:
    for classes in (SOURCES, ANALYSES):
        for kind, cls in classes.items():
            assert cls.Settings.model_fields["kind"].default == kind


def test_a_component_is_built_by_its_kind() -> None:
    settings = SOURCES["scene"].Settings(scene="pcb", boards=1)
    from edgevision.sources.base import SourceContext, utc_now

    source = build(SOURCES, settings, SourceContext("line", None, utc_now()))
    assert isinstance(source, SOURCES["scene"])


def test_the_schema_knows_every_kind() -> None:
    text = json.dumps(json.loads(config_schema()))
    for kind in (*SOURCES, *ANALYSES):
        assert f'"{kind}"' in text


def test_a_class_the_model_does_not_have_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: traffic, lines: {door: {from: [0, 0], to: [0, 1], labels: [person]}}}")
    with pytest.raises(ConfigError) as caught:
        check_cameras(file, load_daemon(file, registry()))
    message = str(caught.value)
    assert f"{file.name}:9" in message
    assert "no class 'person'" in message
    assert "mousebite" in message


def test_two_inspections_on_one_camera_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: inspection, part: {by: picture}}\n" * 2)
    with pytest.raises(ConfigError, match="at most one inspection"):
        check_cameras(file, load_daemon(file, registry()))


def test_a_foreign_class_that_cannot_be_loaded_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("robot", "no_such_package:Robot", "edgevision.sources")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [broken] if group == broken.group else [])
    with pytest.raises(ConfigError, match=r"robot.*no_such_package"):
        registry_module._with_foreign("edgevision.sources", {})


def test_foreign_classes_stand_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("blank", "edgevision.sources.scene:SceneSource", "edgevision.sources")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [point] if group == point.group else [])
    classes = registry_module._with_foreign("edgevision.sources", {"file": SOURCES["file"]})
    assert set(classes) == {"file", "blank"}
