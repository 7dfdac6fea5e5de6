"""The calls that are awaited."""

import asyncio
import threading
from typing import Any

import pytest

import portbook
from portbook import AsyncPortAllocationService, PortAllocationService


def test_the_calls_can_be_awaited() -> None:
    async def main() -> None:
        service = AsyncPortAllocationService()
        pairs = await asyncio.gather(
            *(service.get_or_allocate_ports("m", number) for number in range(1, 101))
        )
        assert len({pair.backend for pair in pairs}) == 100
        assert await service.get_ports("m", 1) == pairs[0]
        assert await service.get_or_allocate_all("m", [1]) == [pairs[0]]
        assert len(await service.get_all_allocations()) == 100
        assert await service.check_port_conflicts() == []
        assert await service.release_ports("m", 1) is True
        with pytest.raises(portbook.InvalidInput):
            await service.get_or_allocate_ports("m", 0)

    asyncio.run(main())


def test_a_block_can_be_awaited(the_service: PortAllocationService) -> None:
    async def main() -> None:
        service = AsyncPortAllocationService(the_service)
        async with service.allocated("m") as one, service.allocated("m") as other:
            assert one.backend != other.backend

    asyncio.run(main())
    assert the_service.get_all_allocations() == []


def test_a_block_that_is_cancelled_while_it_allocates_leaves_nothing(
    the_service: PortAllocationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocated, go_on = threading.Event(), threading.Event()
    claim = the_service._claim

    def slow_claim(*arguments: Any) -> Any:
        claimed = claim(*arguments)
        allocated.set()
        go_on.wait(60)
        return claimed

    monkeypatch.setattr(the_service, "_claim", slow_claim)

    async def main() -> None:
        async def block() -> None:
            async with AsyncPortAllocationService(the_service).allocated("m"):
                pytest.fail("the block was entered")

        task = asyncio.ensure_future(block())
        await asyncio.to_thread(allocated.wait, 60)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert the_service.get_all_allocations() == []
