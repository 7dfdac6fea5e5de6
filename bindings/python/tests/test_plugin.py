"""The fixture, in a project of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from portbook import PortAllocationService

# Each test listens at its ports for a moment, so that two with one port would be told by the system.
PROJECT = """
import json, os, pathlib, socket, time
import pytest

@pytest.mark.parametrize("number", range(40))
def test_listens(portbook_ports, number):
    with socket.create_server(("127.0.0.1", portbook_ports.backend)), \\
         socket.create_server(("127.0.0.1", portbook_ports.frontend)):
        time.sleep(0.01)
    line = json.dumps([os.environ.get("PYTEST_XDIST_WORKER"), portbook_ports.backend])
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(line + "\\n")

def test_without():
    pass
"""


def run_project(folder: Path, *arguments: str) -> "List[Tuple[Optional[str], int]]":
    seen = folder / "seen"
    (folder / "test_project.py").write_text(PROJECT)
    (folder / "pytest.ini").write_text("[pytest]\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "SEEN": str(seen), "PORTBOOK_HOST_CHECK": "true"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "41 passed" in ended.stdout
    return [tuple(json.loads(line)) for line in seen.read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def test_each_test_has_its_ports(project: Path, the_service: PortAllocationService) -> None:
    standing = the_service.get_or_allocate_ports("openai_gpt-4", 1)
    seen = run_project(project, "-p", "no:xdist")
    assert len(seen) == 40
    assert all(backend != standing.backend for _, backend in seen)
    assert [held["model"] for held in the_service.get_all_allocations()] == ["openai_gpt-4"]


def test_under_xdist_too(project: Path, the_service: PortAllocationService) -> None:
    seen = run_project(project, "-n", "4")
    assert len({worker for worker, _ in seen}) > 1
    assert the_service.get_all_allocations() == []
