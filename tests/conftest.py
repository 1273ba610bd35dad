"""Shared by all tests: the folder of real data, and no skipped service tests in CI."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real pictures, videos and weights; tests that want it skip where it is absent."""
    folder = Path(os.environ.get("EDGEVISION_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (EDGEVISION_DATA)")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """In CI every server is installed, so a skipped service test means that something is wrong with CI."""
    report = yield
    if (
        os.environ.get("CI") == "true"
        and report.skipped
        and item.get_closest_marker("service")
        and not _lacks_data(report)
    ):
        report.outcome = "failed"
        report.longrepr = f"a service test was skipped in CI: {_reason(report)}"
    return report


def _lacks_data(report: pytest.TestReport) -> bool:
    """Real data lies outside the repository; its absence is no fault of CI."""
    return "EDGEVISION_DATA" in _reason(report)


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
