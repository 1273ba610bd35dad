"""`edgevision models engines`: listed, exported, and taken only where they fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_tensorrt import install
from keys import key_pair
from typer.testing import CliRunner, Result

from edgevision.cli.engines import app
from edgevision.errors import BundleUntrusted
from edgevision.inference.engines import Engines, Key


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def built(folder: Path, gpu: str) -> Path:
    Engines(folder).get(Key("a" * 64, "fp16", 8, "10.3.0", gpu, "8.7"), lambda _: (b"engine", b""))
    return folder


def test_what_was_built_is_listed(tmp_path: Path) -> None:
    assert "no engines in" in run("list", "--cache", tmp_path).stdout
    built(tmp_path, "Fake GPU")
    line = "aaaaaaaaaaaa fp16: TensorRT 10.3.0, Fake GPU (8.7), up to 8 pictures, 0.0 MB"
    assert line in run("list", "--cache", tmp_path).stdout
    (row,) = json.loads(run("list", "--cache", tmp_path, "--json").stdout)
    assert (row["gpu"], row["bytes"]) == ("Fake GPU", 6)


@pytest.mark.parametrize(
    ("gpu", "code", "says"), [("Fake GPU", 0, "1 engine taken"), ("Other", 1, "0 engines taken, 1")]
)
def test_only_engines_of_this_kind_of_device_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: str, code: int, says: str
) -> None:
    install(monkeypatch, 10)
    assert "1 engine in" in run("export", tmp_path / "e.tar", "--cache", built(tmp_path / "there", gpu)).stdout
    done = run("import", tmp_path / "e.tar", "--cache", tmp_path / "here")
    assert (done.exit_code, says in done.stdout) == (code, True)


def test_with_a_trusted_key_only_what_it_signed_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 10)
    (secret, public), archive = key_pair(tmp_path, "mine"), tmp_path / "e.tar"
    wanted = ("import", archive, "--cache", tmp_path / "here", "--trusted-key", public)
    run("export", archive, "--cache", built(tmp_path / "there", "Fake GPU"))
    assert isinstance(run(*wanted).exception, BundleUntrusted)
    run("export", archive, "--cache", tmp_path / "there", "--key", secret)
    assert "1 engine taken" in run(*wanted).stdout
