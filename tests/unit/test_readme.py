"""The documents tell the truth: settings are valid, code compiles, commands exist, links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from cli_process import edgevision
from daemon_process import write_settings
from typer.main import get_command

from edgevision.cli.main import app
from edgevision.config.load import load, load_daemon
from edgevision.daemon.checks import check_cameras
from edgevision.daemon.registry import registry
from edgevision.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    file
    for file in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/**/*.md"),
        *ROOT.glob("models/*/*.md"),
    ]
    if ".venv" not in file.parts
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_MAKE = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_CALL = re.compile(r"(?:^|`)((?:edgevision|make) [a-z][^`\n#]*)", re.MULTILINE)


def _blocks(language: str) -> list[tuple[str, str]]:
    return [
        (f"{file.relative_to(ROOT)}-{number}", text)
        for file in DOCUMENTS
        for number, (kind, text) in enumerate(_BLOCK.findall(file.read_text("utf-8")))
        if kind == language
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    missing = [link for link in _LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(("name", "text"), _blocks("yaml"))
def test_every_settings_file_in_a_document_is_valid(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(variable, "secret")
    write_settings(tmp_path)  # and a bundle that knows people, which a reader makes
    text = text.replace("bundle: models/people", f"bundle: {tmp_path}/people")
    file = tmp_path / f"{Path(name).stem}.yaml"
    file.write_text(text.replace("bundle: models/", f"bundle: {ROOT}/models/"), encoding="utf-8")
    if text.startswith("name:"):  # of a training, not of a daemon
        load(file, TrainSettings)
    else:
        check_cameras(file, load_daemon(file, registry()))


@pytest.mark.parametrize(("name", "text"), _blocks("python"))
def test_every_piece_of_python_in_a_document_imports_what_there_is(name: str, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=name)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgevision"):
            module = importlib.import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def _calls() -> list[str]:
    found = {call.strip() for file in DOCUMENTS for call in _CALL.findall(file.read_text("utf-8"))}
    return sorted(found)


@pytest.mark.parametrize("call", _calls())
def test_every_command_in_a_document_exists(call: str) -> None:
    program, *words = shlex.split(call.replace("...", ""), comments=True)
    if program == "make":
        targets = set(_MAKE.findall((ROOT / "Makefile").read_text("utf-8")))
        asked = [word for word in words if "=" not in word][:1]
        assert set(asked) <= targets
        return
    command = get_command(app)
    options: set[str] = set()
    for word in words:
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            break
        assert word in subcommands, f"edgevision has no command {word!r}"
        command = subcommands[word]
    for parameter in command.params:
        options.update(parameter.opts)
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert used <= options, f"no such option: {used - options}"


def test_the_schema_for_editors_is_printed() -> None:
    done = edgevision("config", "schema")
    assert done.returncode == 0
    assert '"$defs"' in done.stdout
