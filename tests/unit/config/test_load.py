"""The daemon's settings: every problem at once, each with its line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr, field_validator

from edgevision.config.daemon import DaemonSettings, Registry
from edgevision.config.load import config_revision, load_daemon
from edgevision.config.settings import PositiveSeconds, Settings
from edgevision.errors import ConfigError


class File(Settings):
    kind: Literal["file"] = "file"
    path: Path
    pace: Literal["every_frame", "realtime"] = "every_frame"


class Rtsp(Settings):
    kind: Literal["rtsp"] = "rtsp"
    url: SecretStr
    stall_timeout_s: PositiveSeconds = 5


class Onnx(Settings):
    kind: Literal["onnx"] = "onnx"
    threads: int = 1


class Tracker(Settings):
    kind: Literal["bytetrack"] = "bytetrack"


class Traffic(Settings):
    kind: Literal["traffic"] = "traffic"
    lines: dict[str, int] = {}


class Lifecycle(Settings):
    kind: Literal["detection"] = "detection"


class ByClass(Settings):
    by: Literal["class"] = "class"
    label: str = "board"


class ByTrigger(Settings):
    by: Literal["trigger"] = "trigger"
    frames: int = 1


class Inspection(Settings):
    kind: Literal["inspection"] = "inspection"
    part: Annotated[ByClass | ByTrigger, Field(discriminator="by")] = ByClass()


class Mqtt(Settings):
    host: str

    @field_validator("host")
    @classmethod
    def _only_a_host(cls, value: str) -> str:
        if "/" in value:
            msg = "must be a host name"
            raise ValueError(msg)
        return value

    password: SecretStr | None = None


class Queue(Settings):
    path: Path = Path("outbox.sqlite")


REGISTRY = Registry(
    sources={"file": File, "rtsp": Rtsp},
    backends={"onnx": Onnx},
    trackers={"bytetrack": Tracker},
    analyses={"traffic": Traffic, "detection": Lifecycle, "inspection": Inspection},
    triggers={"file": File},
    actuators={"file": File},
    mqtt=Mqtt,
    outbox=Queue,
)

GOOD = """\
site: plant
device: line-3
models:
  m:
    bundle: models/m
cameras:
  door:
    source:
      kind: file
      path: door.mp4
    model: m
    analyses:
      - kind: traffic
        lines: {entry: 1}
mqtt:
  host: broker
  password: ${PASSWORD}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models/m").mkdir(parents=True)
    (tmp_path / "models/m/bundle.yaml").touch()
    return tmp_path


def loaded(folder: Path, text: str, password: str = "hush") -> DaemonSettings:  # noqa: S107 - a test
    file = folder / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    return load_daemon(file, REGISTRY, {"PASSWORD": password})


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [str(problem).removeprefix(str(folder) + "/") for problem in caught.value.problems]


def test_a_good_file_is_typed_and_paths_are_meant_from_its_folder(folder: Path) -> None:
    settings = loaded(folder, GOOD)
    camera = settings.cameras["door"]
    assert isinstance(camera.source, File)
    assert camera.source.path == folder / "door.mp4"
    assert camera.tracker is None
    assert isinstance(camera.analyses[0], Traffic)
    assert isinstance(settings.models["m"].backend, Onnx)
    assert isinstance(settings.outbox, Queue)
    assert settings.outbox.path == folder / "outbox.sqlite"


def test_the_revision_is_the_same_wherever_the_files_lie(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(folder, elsewhere, dirs_exist_ok=True)
    first, second = loaded(folder, GOOD), loaded(elsewhere, GOOD)
    assert config_revision(first, folder) == config_revision(second, elsewhere)


def test_the_revision_changes_with_the_settings_but_not_with_secrets(folder: Path) -> None:
    first = config_revision(loaded(folder, GOOD, "one"), folder)
    assert len(first) == 12
    assert config_revision(loaded(folder, GOOD, "two"), folder) == first
    assert config_revision(loaded(folder, GOOD.replace("entry: 1", "entry: 2")), folder) != first


def test_all_problems_are_found_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = """\
site: Plant 1
models:
  m: {bundle: models/m, backend: {kind: onnx, thraeds: 2}}
  n: {bundle: models/n}
cameras:
  door:
    source: {kind: rtsp, url: "rtsp://u:hush@h/1", stall_timeout_s: 5s}
    model: x
    analyses:
      - {kind: traffic, lines: {a: b}}
      - {kind: trafic}
  status:
    source: {path: x.mp4}
    model: m
extra: 1
"""
    found = problems(folder, text)
    assert [item.split(": ")[:2] for item in found] == [
        ["settings.yaml:1", "site"],
        ["settings.yaml:1", "device"],
        ["settings.yaml:3", "models.m.backend.thraeds"],
        ["settings.yaml:4", "models.n.bundle"],
        ["settings.yaml:7", "cameras.door.source.stall_timeout_s"],
        ["settings.yaml:8", "cameras.door.model"],
        ["settings.yaml:10", "cameras.door.analyses[0].lines.a"],
        ["settings.yaml:11", "cameras.door.analyses[1].kind"],
        ["settings.yaml:12", "cameras.status"],
        ["settings.yaml:13", "cameras.status.source.kind"],
        ["settings.yaml:15", "extra"],
    ]
    text = "\n".join(found)
    assert "did you mean `threads`? allowed here: kind, threads" in text
    assert "'5s' is no plain number; write the number of seconds without a unit" in text
    assert "there is no model 'x' under `models`; there is m, n" in text
    assert "'trafic' is not known; allowed: traffic, detection, inspection" in text
    assert "`kind` is missing; allowed: file, rtsp" in text
    assert "lower-case letters, digits and hyphens" in text
    assert "hush" not in text


def test_secrets_are_never_shown(folder: Path) -> None:
    text = GOOD.replace("${PASSWORD}", "[hush]")
    assert "hush" not in "\n".join(problems(folder, text))
    assert "hush" not in repr(loaded(folder, GOOD))


def test_a_login_within_an_address_is_never_shown(folder: Path) -> None:
    found = "\n".join(problems(folder, GOOD.replace("host: broker", "host: mqtt://me:hush@broker")))
    assert "mqtt.host: must be a host name" in found
    assert "hush" not in found


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("{by: trigr}", "part.by: 'trigr' is not known; allowed: class, trigger"),
        ("{label: x}", "part.by: `by` is missing; allowed: class, trigger"),
        ("{by: trigger, frmes: 2}", "part.frmes: unknown key; did you mean `frames`? allowed here: by, frames"),
    ],
)
def test_what_is_told_apart_by_another_key_than_kind_is_explained_as_well(
    folder: Path, part: str, message: str
) -> None:
    text = GOOD.replace("kind: traffic", "kind: inspection").replace("lines: {entry: 1}", f"part: {part}")
    (problem,) = problems(folder, text)
    assert problem.endswith(message)


def test_a_missing_model_section_is_a_problem_not_a_crash(folder: Path) -> None:
    found = problems(folder, "site: a\ndevice: b\ncameras: {c: 3}\n")
    assert any("models: is missing" in item for item in found)
    assert any("cameras.c" in item for item in found)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "x" * 5000])
def test_a_path_that_cannot_be_looked_for_is_a_problem_not_a_crash(folder: Path, path: str) -> None:
    text = GOOD.replace("bundle: models/m", f"bundle: {path}").replace("door.mp4", path)
    found = problems(folder, text)
    assert any("models.m.bundle: " in item and "is no model bundle" in item for item in found)
    assert any("cameras.door.source.path: " in item for item in found) == path.startswith("~")
