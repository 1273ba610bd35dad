"""What only the whole of a camera's settings can tell, each problem with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.config.load import load_daemon
from edgevision.daemon.checks import check_cameras
from edgevision.daemon.registry import registry
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
{more}outbox: {{path: outbox.sqlite}}
"""


def written(folder: Path, analyses: str, more: str = "") -> Path:
    file = folder / "settings.yaml"
    file.write_text(TEXT.format(bundle=BUNDLE, analyses=analyses, more=more), encoding="utf-8")
    return file


def test_a_class_the_model_does_not_have_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: traffic, lines: {door: {from: [0, 0], to: [0, 1], labels: [person]}}}")
    with pytest.raises(ConfigError) as caught:
        check_cameras(file, load_daemon(file, registry()))
    message = str(caught.value)
    assert f"{file.name}:9: cameras.line.analyses[0].lines.door.labels" in message
    assert "no class 'person'" in message
    assert "mousebite" in message


def test_two_inspections_on_one_camera_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: inspection, part: {by: picture}}\n" * 2)
    with pytest.raises(ConfigError, match="at most one inspection"):
        check_cameras(file, load_daemon(file, registry()))


def problems(file: Path, *, files_exist: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        check_cameras(file, load_daemon(file, registry()), files_exist=files_exist)
    return str(caught.value)


def test_a_trigger_that_nothing_judges_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: detection}", "    station: {trigger: {kind: software}}\n")
    assert "settings.yaml:10: cameras.line.station.trigger: nothing answers it" in problems(file)


def test_an_inspection_by_trigger_without_a_trigger_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: inspection, part: {by: trigger}}")
    assert "settings.yaml:9: cameras.line.analyses[0].part: `part: {by: trigger}` needs station.trigger" in problems(
        file
    )


def test_a_name_that_two_traffic_analyses_of_a_camera_share_is_refused(tmp_path: Path) -> None:
    lines = "lines: {door: {from: [0, 0], to: [0, 1]}}"
    room = "zones: {door: {polygon: [[0, 0], [1, 0], [1, 1]]}}"  # a zone may be called as a line
    file = written(
        tmp_path,
        f"      - {{kind: traffic, {lines}, {room}}}\n      - {{kind: traffic, {lines}, period_s: 3600}}",
    )
    assert "settings.yaml:10: cameras.line.analyses[1].lines.door: another analysis of this camera has" in problems(
        file
    )


def test_a_source_file_must_be_there_only_when_it_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, "      - {kind: detection}")
    file.write_text(file.read_text().replace("{kind: scene, scene: pcb}", "{kind: file, path: nowhere.mp4}"))
    check_cameras(file, load_daemon(file, registry()))
    assert f"settings.yaml:6: cameras.line.source.path: there is no {tmp_path / 'nowhere.mp4'}" in problems(
        file, files_exist=True
    )


def test_a_broken_bundle_is_a_problem_among_others(tmp_path: Path) -> None:
    (tmp_path / "pcb").mkdir()
    (tmp_path / "pcb" / "bundle.yaml").write_text("name: [", encoding="utf-8")
    file = written(tmp_path, "      - {kind: detection}", "    station: {trigger: {kind: software}}\n")
    file.write_text(file.read_text(encoding="utf-8").replace(str(BUNDLE), "pcb"), encoding="utf-8")
    told = problems(file)
    assert "settings.yaml:3: models.pcb.bundle" in told
    assert "not readable as YAML" in told
    assert "cameras.line.station.trigger: nothing answers it" in told
