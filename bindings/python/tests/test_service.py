"""The calls, and what they say when something is wrong."""

import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import portbook
from portbook import PortAllocationService, PortPair


def test_an_app_keeps_its_ports(the_service: PortAllocationService) -> None:
    pair = the_service.get_or_allocate_ports("openai_gpt-4", 1)
    assert pair == PortPair(backend=5001, frontend=8001, model="openai_gpt-4", app_num=1)
    assert dataclasses.is_dataclass(pair)
    assert the_service.get_or_allocate_ports("openai_gpt-4", 1) == pair
    assert the_service.get_or_allocate_ports("openai_gpt-4", 2).backend == 5003
    assert PortAllocationService().get_ports("openai_gpt-4", 1) == pair
    assert the_service.get_ports("openai_gpt-4", 3) is None
    assert the_service.release_ports("openai_gpt-4", 1) is True
    assert the_service.release_ports("openai_gpt-4", 1) is False


def test_several_apps_are_one_step(the_service: PortAllocationService) -> None:
    pairs = the_service.get_or_allocate_all("m", range(1, 31))
    assert [pair.app_num for pair in pairs] == list(range(1, 31))
    with pytest.raises(portbook.InvalidInput):
        the_service.get_or_allocate_all("other", [1, 2, 0])
    assert len(the_service.get_all_allocations()) == 30


def test_the_list_is_the_commands(the_service: PortAllocationService) -> None:
    the_service.get_or_allocate_ports("x-ai/grok-4", 7)
    listed = subprocess.run(
        [sys.executable, "-m", "portbook", "list", "--json"], capture_output=True, check=True
    )
    assert the_service.get_all_allocations() == json.loads(listed.stdout)


def test_a_conflict_is_a_sentence(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 5061 is one of the ports that browsers refuse.
    subprocess.run(
        [sys.executable, "-m", "portbook", "allocate", "m", "1", "--ports", "backend=5061"],
        check=True,
    )
    (conflict,) = PortAllocationService().check_port_conflicts()
    assert isinstance(conflict, str) and "5061" in f"{conflict}"
    assert (conflict.kind, conflict.port, conflict.apps) == ("browser-blocked", 5061, ["m/app1"])
    assert conflict.hint


@pytest.mark.parametrize(
    ("model", "number"),
    [("m", 0), ("m", -1), ("m", 2**31), ("m", 2**70), ("m", "x"), ("m", None), ("m", 1.5)]
    + [("", 1), (" m", 1), ("..", 1), ("m" * 201, 1), ("a\x07", 1), ("\ud800", 1), (None, 1), (3, 1)],
)
def test_bad_input_is_a_value_error(
    the_service: PortAllocationService, model: str, number: int
) -> None:
    for call in (
        the_service.get_or_allocate_ports,
        the_service.get_ports,
        the_service.release_ports,
    ):
        with pytest.raises(ValueError) as raised:
            call(model, number)
        assert isinstance(raised.value, portbook.PortbookError)
        assert raised.value.code in ("bad-model", "bad-app-number")
        assert raised.value.exit_status == 2
    assert the_service.get_all_allocations() == []


def command_says(*arguments: str) -> "dict[str, object]":
    ended = subprocess.run(
        [sys.executable, "-m", "portbook", "--json", *arguments], capture_output=True
    )
    told = json.loads(ended.stderr)["error"]
    return {**told, "exit_status": ended.returncode}


def said(error: portbook.PortbookError) -> "dict[str, object]":
    names = ("code", "message", "hint", "exit_status")
    told = {name: getattr(error, name) for name in names}
    return {**told, "problems": error.problems} if error.problems else told


def test_an_error_says_what_the_command_says(tmp_path: Path) -> None:
    (tmp_path / "portbook.toml").write_text("[ranges.backend]\nbase = 5001\nmax = 5003\n")
    service = PortAllocationService()
    service.get_or_allocate_all("m", [1, 2])
    with pytest.raises(portbook.NoPortLeft) as raised:
        service.get_or_allocate_ports("m", 3)
    assert said(raised.value) == command_says("allocate", "m", "3")
    assert raised.value.message in str(raised.value)

    with pytest.raises(portbook.InvalidInput) as raised_by_space:
        PortAllocationService(space="No Space")
    assert said(raised_by_space.value) == command_says("--space", "No Space", "list")

    (tmp_path / "torn.db").write_text("")
    with pytest.raises(portbook.BookUnusable) as raised_by_book:
        PortAllocationService(store="torn.db")
    assert said(raised_by_book.value) == command_says("--store", "torn.db", "list")

    with pytest.raises(portbook.BookUnusable) as raised_by_server:
        PortAllocationService(store="http://127.0.0.1:1").get_ports("m", 1)
    told = command_says("--store", "http://127.0.0.1:1", "get", "m", "1")
    assert said(raised_by_server.value) == told

    copy = pickle.loads(pickle.dumps(raised.value))
    assert said(copy) == said(raised.value)


def test_promised_ports_are_honoured(tmp_path: Path) -> None:
    promises = tmp_path / "promises.json"
    entry = {"model": "m", "app_number": 4, "backend_port": 5001, "frontend_port": 8001}
    promises.write_text(json.dumps([entry]))
    service = PortAllocationService(promises)
    assert service.get_or_allocate_ports("other", 1).backend == 5003
    assert service.get_or_allocate_ports("m", 4).backend == 5001


def test_a_block_gives_back_what_it_allocated(the_service: PortAllocationService) -> None:
    with pytest.raises(RuntimeError), the_service.allocated("m", 1) as pair:
        assert the_service.get_ports("m", 1) == pair
        raise RuntimeError
    assert the_service.get_ports("m", 1) is None

    standing = the_service.get_or_allocate_ports("m", 1)
    with the_service.allocated("m", 1) as pair:
        assert pair == standing
    assert the_service.get_ports("m", 1) == standing


def test_blocks_without_an_app_number_have_different_apps(
    the_service: PortAllocationService,
) -> None:
    the_service.get_or_allocate_ports("m", 2)
    with the_service.allocated("m", ttl="2h") as one, the_service.allocated("m", ttl="2h") as other:
        assert [one.app_num, other.app_num] == [1, 3]
    assert [held["app_num"] for held in the_service.get_all_allocations()] == [2]


def test_a_block_leaves_alone_what_became_anothers(the_service: PortAllocationService) -> None:
    with the_service.allocated("m", 1):
        the_service.release_ports("m", 1)
        again = the_service.get_or_allocate_ports("m", 1)
    assert the_service.get_ports("m", 1) == again


def test_apps_that_are_gone_are_released(tmp_path: Path) -> None:
    apps = tmp_path / "apps"
    for model in ("one", "two"):
        (apps / model / "app1").mkdir(parents=True)
    service = PortAllocationService(apps_dir=apps)
    for model in ("one", "two"):
        service.get_or_allocate_all(model, [1, 2])
    # Whatever is missing is noted first.
    assert service.cleanup_orphaned_allocations() == 0
    assert service.cleanup_orphaned_allocations("one", grace="0s", max_share="50%") == 1
    held = {(held["model"], held["app_num"]) for held in service.get_all_allocations()}
    assert held == {("one", 1), ("two", 1), ("two", 2)}
    with pytest.raises(portbook.Declined):
        service.cleanup_orphaned_allocations(grace="0s")
    with pytest.raises(ValueError):
        service.cleanup_orphaned_allocations(grace="soon")


def test_a_service_is_the_processs_own(book: Path) -> None:
    service = portbook.get_port_allocation_service()
    assert portbook.get_port_allocation_service() is service
    assert str(book) in repr(service)
    copy = pickle.loads(pickle.dumps(service))
    assert copy.get_or_allocate_ports("m", 1) == service.get_or_allocate_ports("m", 1)


def test_a_server_answers_like_a_file(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    server = subprocess.Popen(
        [sys.executable, "-m", "portbook", "serve", "--listen", f"unix:{socket}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None and "listening" in server.stdout.readline()
        far, near = PortAllocationService(store=f"unix:{socket}"), PortAllocationService()
        assert far.get_or_allocate_ports("m", 1) == near.get_or_allocate_ports("m", 1)
        assert far.get_all_allocations() == near.get_all_allocations()
        with pytest.raises(portbook.InvalidInput):
            far.get_or_allocate_ports("m", 0)
        with far.allocated("m", 2) as pair:
            assert near.get_ports("m", 2) == pair
        assert near.get_ports("m", 2) is None
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "portbook"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.splitlines()[0] == f"portbook {portbook.__version__}"
    ran = subprocess.run(
        [*command, "run", "m", "1", "--", "sh", "-c", "echo $BACKEND_PORT; exit 7"],
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.returncode) == ("5001\n", 7)
