"""A book of each test's own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

from portbook import PortAllocationService, service

Script = Callable[..., str]


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's book is; nothing of the caller's says anything else."""
    for name in [name for name in os.environ if name.startswith("PORTBOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.db"
    monkeypatch.setenv("PORTBOOK_STORE", f"sqlite:{path}")
    # What this machine uses is another matter, but for the tests about it.
    monkeypatch.setenv("PORTBOOK_HOST_CHECK", "false")
    service._services.clear()
    yield path
    service._services.clear()


@pytest.fixture
def the_service() -> PortAllocationService:
    return PortAllocationService()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a program in an interpreter of its own, to its end; its output."""

    def run(text: str, *arguments: str, status: int = 0) -> str:
        path = tmp_path / "script.py"
        path.write_text(text)
        ended = subprocess.run(
            [sys.executable, "-X", "faulthandler", str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert "Fatal" not in ended.stderr, ended.stderr
        return ended.stdout

    return run
