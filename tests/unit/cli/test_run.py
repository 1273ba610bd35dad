"""What a user sees of `edgevision` before anything runs: help, and errors of one or two lines with exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_process import edgevision, error_of

from edgevision import __version__

GOOD = """\
site: s
device: d
models: {pcb: {bundle: nowhere}}
cameras:
  belt:
    source: {kind: scene, scene: pcb}
    model: pcb
    analyses: [{kind: detection}]
"""


def test_the_version_and_the_commands_are_told() -> None:
    assert edgevision("--version").stdout.strip() == f"edgevision {__version__}"
    text = edgevision("--help").stdout
    for command in ("run", "demo", "inspect", "broker", "config", "events", "models"):
        assert command in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "c.yaml"),
        ("", "c.yaml"),
        ("site: [", "c.yaml:1"),
        (GOOD + "speed: 3\n", "c.yaml:9: speed"),
        (GOOD.replace("site: s\n", ""), "site"),
        (GOOD.replace("kind: detection", "kind: detecton"), "c.yaml:8"),
        (GOOD.replace("model: pcb\n", "model: pbc\n"), "c.yaml:7"),
        (GOOD.replace("[{kind: detection}]", "[{kind: detection, lost_s: 5min}]"), "lost_s"),
        (GOOD.replace("site: s", "site: ${NOT_SET_ANYWHERE}"), "NOT_SET_ANYWHERE"),
        (GOOD, "nowhere"),
    ],
)
def test_a_broken_settings_file_is_refused_before_anything_starts(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "c.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert message in error_of(edgevision("run", file, cwd=tmp_path), lines=3)
    assert not list(tmp_path.glob("*.sqlite*"))


@pytest.mark.parametrize("option", [("--boards", "0"), ("--boards", "many"), ("--seed", "-1"), ("--what",)])
def test_the_demo_refuses_what_it_cannot_do(option: tuple[str, ...]) -> None:
    done = edgevision("demo", *option)
    assert done.returncode == 2
    assert option[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("demo",), ("config", "schema")])
def test_a_place_that_cannot_be_written_is_said_in_a_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in error_of(edgevision(*command, "--out", tmp_path / "file/x"))


def test_inspect_refuses_more_threads_than_a_model_can_have(tmp_path: Path) -> None:
    done = edgevision("inspect", tmp_path, "--model", tmp_path, "--out", tmp_path / "out", "--threads", 100_000)
    assert done.returncode == 2
    assert "--threads" in done.stderr


def test_the_demo_says_which_model_it_cannot_find(tmp_path: Path) -> None:
    assert "no-such-bundle" in error_of(edgevision("demo", "--model", tmp_path / "no-such-bundle"))
