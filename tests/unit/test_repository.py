"""The files around the code: they parse, agree with each other, and name nobody's machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted((DEPLOY / "docker").glob("*.Dockerfile"))
TRAINING = ("train", "synth", "torch", "ultralytics", "diffusers", "albumentations", "export", "all")
INSTRUCTIONS = {
    "FROM",
    "RUN",
    "COPY",
    "ENV",
    "USER",
    "WORKDIR",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
}


def tracked_texts() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # A checkout owned by somebody else is still one; git's own caution must not fail the test.
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    kinds = {".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".conf", ".service", ".Dockerfile", ""}
    return [path for name in names if name and (path := ROOT / name).is_file() and path.suffix in kinds]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for line in lines if line.strip() for word, _, rest in [line.partition(" ")]]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    pattern = re.compile(r"/(?:root|work|home/(?!USER)\w+)/|--(?:extra-)?index-url|pypi\.org/simple|find-links")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_texts()
        if path != Path(__file__).resolve()
        for match in pattern.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_file_is_longer_than_the_rule_allows() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path in tracked_texts()
        if path.suffix == ".py" and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    ]
    assert long == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_dockerfile_copies_what_exists_and_no_training_stack(dockerfile: Path) -> None:
    steps = instructions(dockerfile)
    assert {word for word, _ in steps} <= INSTRUCTIONS
    assert steps[0][0] == "FROM"
    for word, rest in steps:
        if word == "COPY" and not rest.startswith("--from"):
            missing = [name for name in rest.split()[:-1] if not (ROOT / name).exists() and name != "models"]
            assert missing == []
    extras = re.findall(r'"\.\[(.*?)\]"', dockerfile.read_text(encoding="utf-8"))
    assert len(extras) == 1
    assert not set(extras[0].split(",")) & set(TRAINING)
    assert steps[-2:] == [("ENTRYPOINT", '["edgevision"]'), ("CMD", '["run", "/etc/edgevision/edgevision.yaml"]')]
    assert "USER" in {word for word, _ in steps}, "a daemon does not run as root"


def test_there_is_an_image_for_each_kind_of_machine() -> None:
    assert [path.stem for path in DOCKERFILES] == ["cpu", "gpu", "jetson"]


def test_compose_refers_to_files_volumes_and_services_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert set(services) == {"edgevision", "mosquitto", "prometheus"}
    build = services["edgevision"]["build"]
    default = re.sub(r"\$\{\w+:-(.*)\}", r"\1", build["dockerfile"])
    assert (DEPLOY / build["context"] / default).is_file()
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            # ./config is the user's own, made as the README says.
            assert source in compose["volumes"] or source == "./config" or (DEPLOY / source).exists()


def test_prometheus_scrapes_the_composed_daemon_at_its_default_port() -> None:
    from edgevision.config.daemon import HttpSettings

    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"edgevision:{HttpSettings().port}"]
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])


def test_alerts_ask_for_metrics_that_the_daemon_has() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"edgevision_\w+", rule["expr"])}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "edgevision/daemon").glob("*.py"))
    assert asked - set(re.findall(r'"(edgevision_\w+)"', code)) == set()
    assert {"edgevision_outbox_depth", "edgevision_outbox_age_seconds", "edgevision_camera_online"} <= asked


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_configuration() -> None:
    subprocess.run(
        ["promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml")], check=True, capture_output=True
    )


def test_unit_speaks_the_daemons_protocol_and_has_its_groups() -> None:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/edgevision.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert int(service["WatchdogSec"]) > 0
    assert set(service["SupplementaryGroups"].split()) == {"video", "render"}
    assert "nvargus-daemon.service" in unit["Unit"]["After"]
    assert {"StateDirectory", "CacheDirectory", "NoNewPrivileges"} <= set(service)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """With the program replaced by one that exists, since the package is not installed under /opt here."""
    text = (DEPLOY / "systemd/edgevision.service").read_text(encoding="utf-8")
    unit = tmp_path / "edgevision.service"
    unit.write_text(text.replace("/opt/edgevision/.venv/bin/edgevision", "/bin/true"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "edgevision.service" in line] == []


def test_shipped_broker_limit_is_the_computed_one() -> None:
    script = DEPLOY / "mosquitto/limits.py"
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True)
    assert done.stdout in (DEPLOY / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
    more = [sys.executable, str(script), "--devices", "10", "--events-per-s", "5", "--outage-h", "24"]
    done = subprocess.run(more, check=True, capture_output=True, text=True)
    assert "max_queued_messages 5400000\n" in done.stdout  # 10 x 5 x 86,400 x 1.25


@pytest.mark.parametrize("script", [".ci/run", "tools/install.sh"])
def test_shell_scripts_are_executable_and_parse(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_make_has_the_documented_targets() -> None:
    for target in ("demo", "test", "test-slow", "test-gpu", "check", "bench", "broker"):
        subprocess.run(["make", "-C", str(ROOT), "-n", target], check=True, capture_output=True)


def test_install_refuses_a_python_that_does_not_run(tmp_path: Path) -> None:
    command = [str(ROOT / "tools/install.sh"), str(tmp_path / "venv"), "/nowhere/python", "."]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is no Python 3.10 to 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()
