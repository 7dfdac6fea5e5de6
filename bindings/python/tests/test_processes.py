"""Threads, forks, and the end of the interpreter."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest

from conftest import Script
from portbook import PortAllocationService, PortPair, get_port_allocation_service

THREADS = 64
APPS = 640


def ports(pairs: List[PortPair]) -> "set[int]":
    return {port for pair in pairs for port in (pair.backend, pair.frontend)}


def test_64_threads_allocate_640_new_apps(the_service: PortAllocationService) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        pairs = list(
            threads.map(lambda n: the_service.get_or_allocate_ports("m", n), range(1, APPS + 1))
        )
    assert len(ports(pairs)) == 2 * APPS
    assert len(the_service.get_all_allocations()) == APPS
    assert the_service.check_port_conflicts() == []


def test_threads_that_open_the_book_at_once_have_one_service() -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        services = set(threads.map(lambda _: get_port_allocation_service(), range(THREADS)))
    assert len(services) == 1


def test_other_threads_run_while_one_waits(the_service: PortAllocationService, book: Path) -> None:
    the_service.get_or_allocate_ports("m", 1)
    holder = subprocess.Popen(
        ["flock", f"{book}.lock", "sh", "-c", "echo locked; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(the_service.get_or_allocate_ports, "m", 2)
        for _ in range(100):
            assert the_service.get_ports("m", 1) is not None
        assert not waiting.done()
        holder.stdin.close()
        assert waiting.result(timeout=60).app_num == 2
    holder.wait()


def test_a_child_of_a_fork_goes_on(the_service: PortAllocationService) -> None:
    before = the_service.get_or_allocate_ports("m", 1)
    children = []
    for number in range(2, 6):
        child = os.fork()
        if child == 0:
            try:
                same = the_service.get_or_allocate_ports("m", 1) == before
                the_service.get_or_allocate_ports("m", number)
                os._exit(0 if same else 1)
            finally:
                os._exit(2)
        children.append(child)
    the_service.get_or_allocate_ports("m", 6)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert [held["app_num"] for held in the_service.get_all_allocations()] == [1, 2, 3, 4, 5, 6]


# Eight threads allocate without a pause while the main thread forks; each child allocates, too, and so does
# one that its parent does not live to see.
FORKING_UNDER_LOAD = """
import os, sys, threading
from portbook import PortAllocationService
service = PortAllocationService()
stop = threading.Event()
def work(name):
    number = 0
    while not stop.is_set():
        number += 1
        service.get_or_allocate_ports(name, number)
threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(8)]
for thread in threads: thread.start()
for round in range(1, 31):
    child = os.fork()
    if child == 0:
        ok = service.get_or_allocate_ports("child", round).app_num == round
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
"""


def test_threads_may_be_at_work_when_a_process_forks(
    script: Script, the_service: PortAllocationService
) -> None:
    script(FORKING_UNDER_LOAD)
    held = the_service.get_all_allocations()
    assert sum(one["model"] == "child" for one in held) == 30
    assert len({one["backend_port"] for one in held}) == len(held)
    assert the_service.check_port_conflicts() == []


# The parent is the last to close the book as far as it knows; what the child then writes has to last.
PARENT_ENDS_FIRST = """
import os, sys, time
from portbook import PortAllocationService
service = PortAllocationService()
service.get_or_allocate_ports("m", 1)
if os.fork() == 0:
    service.get_or_allocate_ports("m", 2)     # the child has the book open, too,
    os.close(1)                               # and the parent may know
    parent = os.getppid()
    while os.getppid() == parent: time.sleep(0.001)
    service.get_or_allocate_ports("m", 3)
    open("done", "w").close()
    os._exit(0)
service.get_or_allocate_ports("m", 4)
"""


def test_what_a_child_writes_lasts_when_its_parent_has_ended(
    script: Script, the_service: PortAllocationService, tmp_path: Path
) -> None:
    script(PARENT_ENDS_FIRST)
    deadline = time.monotonic() + 60
    while not (tmp_path / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [held["app_num"] for held in the_service.get_all_allocations()] == [1, 2, 3, 4]
    assert the_service.check_port_conflicts() == []


def test_a_book_stays_the_same_when_the_directory_changes(tmp_path: Path) -> None:
    service = PortAllocationService(store="here.db")
    service.get_or_allocate_ports("m", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    child = os.fork()
    if child == 0:
        os._exit(0 if service.get_ports("m", 1) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert service.get_ports("m", 1) and list(elsewhere.iterdir()) == []


FORKED_UNSEEN = """
import ctypes, os, sys
from portbook import BookUnusable, PortAllocationService
service = PortAllocationService()
service.get_or_allocate_ports("m", 1)
child = ctypes.CDLL(None).fork()              # as a server written in C may do
if child == 0:
    try:
        service.get_ports("m", 1)
    except BookUnusable as error:
        os._exit(0 if error.code == "forked" and error.hint else 1)
    os._exit(2)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_fork_that_python_does_not_see_is_refused(script: Script) -> None:
    script(FORKED_UNSEEN)


def allocate_in_process(service: PortAllocationService, number: int) -> PortPair:
    return service.get_or_allocate_ports("m", number)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_service_goes_to_processes_of_every_kind(
    the_service: PortAllocationService, method: str
) -> None:
    the_service.get_or_allocate_ports("m", 1)
    with multiprocessing.get_context(method).Pool(4) as pool:
        pairs = pool.starmap(allocate_in_process, [(the_service, n) for n in range(1, 41)])
    assert len(ports(pairs)) == 80
    assert len(the_service.get_all_allocations()) == 40


PRELOADED = """
from portbook import get_port_allocation_service
service = get_port_allocation_service()
service.get_or_allocate_ports("preloaded", 1)     # the book is open before the workers are forked

def app(environ, start_response):
    number = int(environ["PATH_INFO"].strip("/"))
    pair = service.get_or_allocate_ports("m", number)
    import os
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{pair.backend} {os.getpid()}".encode()]
"""


def test_gunicorns_workers_share_a_preloaded_book(
    tmp_path: Path, the_service: PortAllocationService
) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    with the_service.allocated("gunicorn") as own:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--threads", "4"]
            + ["--bind", f"127.0.0.1:{own.backend}", "--no-control-socket", "preloaded:app"],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )

        def ask(number: int) -> "tuple[int, int]":
            deadline = time.monotonic() + 60
            while True:
                try:
                    url = f"http://127.0.0.1:{own.backend}/{number}"
                    with urllib.request.urlopen(url, timeout=30) as answer:
                        backend, pid = answer.read().split()
                        return int(backend), int(pid)
                except urllib.error.URLError:
                    assert server.poll() is None and time.monotonic() < deadline
                    time.sleep(0.02)

        try:
            with ThreadPoolExecutor(16) as threads:
                answers = list(threads.map(ask, range(1, 161)))
        finally:
            server.terminate()
            status = server.wait(timeout=60)
    assert status == 0
    assert len({backend for backend, _ in answers}) == 160
    assert len({pid for _, pid in answers}) > 1
    assert sum(held["model"] == "m" for held in the_service.get_all_allocations()) == 160


# Threads that nobody waits for are in the middle of calls when the interpreter ends.
ENDING = """
import sys, threading
from portbook import get_port_allocation_service
service = get_port_allocation_service()
def work(name):
    number = 0
    while True:
        number += 1
        service.get_or_allocate_ports(name, number)
for n in range(8): threading.Thread(target=work, args=(f"t{n}",), daemon=True).start()
service.get_or_allocate_ports("main", 1)
print("end")
"""


def test_the_interpreter_ends_amid_calls(
    script: Script, the_service: PortAllocationService
) -> None:
    for _ in range(5):
        assert script(ENDING) == "end\n"
    assert the_service.get_ports("main", 1) is not None
    assert the_service.check_port_conflicts() == []


def test_a_killed_process_leaves_a_whole_book(
    tmp_path: Path, the_service: PortAllocationService
) -> None:
    path = tmp_path / "endless.py"
    path.write_text(ENDING + "threading.Event().wait()\n")
    process = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "end\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert the_service.get_or_allocate_ports("main", 1) == the_service.get_ports("main", 1)
    assert the_service.check_port_conflicts() == []
