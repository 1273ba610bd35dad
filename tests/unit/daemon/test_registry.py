"""What a settings file may name, ours and foreign."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from edgevision.daemon import registry as registry_module
from edgevision.daemon.registry import ANALYSES, SOURCES, build, config_schema
from edgevision.errors import ConfigError


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
