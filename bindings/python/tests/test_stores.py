"""A book in PostgreSQL or etcd is the same book to Python as one in a file."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Iterator, List
from urllib.parse import quote

import pytest

import portbook
from portbook import PortAllocationService, PortPair

PATIENCE = 120.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server on a unix socket: the URL of its database."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb")).parent
    folder = Path(tempfile.mkdtemp(prefix="portbook-postgres-"))
    # PostgreSQL does not run as root.
    another: List[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        another = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = str(folder / "data")
    how = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    subprocess.run([*another, programs / "initdb", "--pgdata", data, *how], check=True, stdout=subprocess.DEVNULL)
    settings = ["-c", "listen_addresses="]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [*another, programs / "postgres", "-D", data, "-k", str(folder), *settings], stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + PATIENCE
        while subprocess.run([programs / "pg_isready", "-q", "-h", folder]).returncode:
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgres://postgres@{quote(str(folder), safe='')}/postgres"
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def etcd_at(ports: List[int], folder: Path) -> "subprocess.Popen[bytes] | None":
    """A cluster of one member at these ports, unless somebody else has them."""
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    words = ["--name", "m", "--data-dir", str(folder / "data"), "--initial-cluster", f"m={peer}"]
    words += ["--listen-client-urls", client, "--advertise-client-urls", client]
    words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(["etcd", *words], stdout=log, stderr=log)
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{client}/health", timeout=5) as answer:
                if b'"true"' in answer.read():
                    return server
        except OSError:
            time.sleep(0.05)
    server.kill()
    server.wait()
    return None


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An etcd cluster of one member: the URL of a prefix of its."""
    # Below the ports of outgoing connections, any of which may be one of these a moment later.
    choice = Random(os.getpid())
    for _ in range(10):
        ports = choice.sample(range(20000, 32000), 2)
        server = etcd_at(ports, tmp_path_factory.mktemp("etcd"))
        # Another member may have been there before, and answer in its place.
        if server is not None and server.poll() is None:
            break
    else:
        raise AssertionError("etcd does not start")
    try:
        yield f"etcd://127.0.0.1:{ports[0]}/python"
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


@pytest.fixture(scope="module", params=["postgres", "etcd"])
def store(request: pytest.FixtureRequest) -> str:
    """The place of a new, empty book."""
    url: str = request.getfixturevalue(request.param)
    made = subprocess.run([sys.executable, "-m", "portbook", "--store", url, "store", "init"], capture_output=True)
    assert made.returncode == 0, made.stderr
    return url


def test_it_answers_like_a_file(store: str) -> None:
    far, near = PortAllocationService(store=store), PortAllocationService()
    for service in (far, near):
        assert service.get_or_allocate_ports("openai_gpt-4", 1) == PortPair(5001, 8001, "openai_gpt-4", 1)
        assert service.get_or_allocate_ports("openai_gpt-4", 1).backend == 5001
        service.get_or_allocate_all("x-ai/grok-4", [1, 2])
        assert service.release_ports("x-ai/grok-4", 1)
        assert not service.release_ports("x-ai/grok-4", 1)
        assert service.get_ports("x-ai/grok-4", 1) is None
        assert service.check_port_conflicts() == []
    told = [
        [{name: value for name, value in app.items() if name != "created_at"} for app in service.get_all_allocations()]
        for service in (far, near)
    ]
    assert told[0] == told[1]
    with pytest.raises(portbook.InvalidInput):
        far.get_or_allocate_ports("m", 0)


def test_threads_get_a_pair_each(store: str) -> None:
    service = PortAllocationService(store=store)
    with ThreadPoolExecutor(16) as threads:
        pairs = list(threads.map(lambda app: service.get_or_allocate_ports("crowd", app), range(1, 49)))
    ports = {port for pair in pairs for port in (pair.backend, pair.frontend)}
    assert len(ports) == 96
    assert service.check_port_conflicts() == []


def test_a_fork_has_the_book_too(store: str) -> None:
    service = PortAllocationService(store=store)
    mine = service.get_or_allocate_ports("fork", 1)
    child = os.fork()
    if child == 0:
        os._exit(0 if service.get_or_allocate_ports("fork", 1) == mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert service.get_ports("fork", 1) == mine


def test_a_book_that_is_not_there_is_an_error() -> None:
    with socket.socket() as held:
        # Bound and not listening: nobody answers there, and nobody else can take it meanwhile.
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(portbook.BookUnusable):
            PortAllocationService(store=f"postgres://nobody@127.0.0.1:{port}/none").get_all_allocations()
