"""The service for ``asyncio``: the same calls, to be awaited."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, List, Optional, Sequence, Tuple

from ._portbook import Claim
from .records import Allocation, Conflict, PortPair
from .service import PortAllocationService, get_port_allocation_service


class AsyncPortAllocationService:
    """:class:`~portbook.PortAllocationService`, whose calls let the loop go on meanwhile.

    Each call runs in a thread of the loop's default executor. One that is cancelled may have been
    carried out all the same; to ask again is safe.
    """

    def __init__(self, service: Optional[PortAllocationService] = None) -> None:
        """The calls of this service; without one, of :func:`~portbook.get_port_allocation_service`."""
        self._service = get_port_allocation_service() if service is None else service

    @property
    def location(self) -> str:
        """Where the book is, without passwords."""
        return self._service.location

    async def get_or_allocate_ports(self, model_name: str, app_num: int) -> PortPair:
        """See :meth:`PortAllocationService.get_or_allocate_ports`."""
        return await asyncio.to_thread(self._service.get_or_allocate_ports, model_name, app_num)

    async def get_or_allocate_all(self, model_name: str, app_nums: Sequence[int]) -> List[PortPair]:
        """See :meth:`PortAllocationService.get_or_allocate_all`."""
        return await asyncio.to_thread(self._service.get_or_allocate_all, model_name, app_nums)

    async def get_ports(self, model_name: str, app_num: int) -> Optional[PortPair]:
        """See :meth:`PortAllocationService.get_ports`."""
        return await asyncio.to_thread(self._service.get_ports, model_name, app_num)

    async def release_ports(self, model_name: str, app_num: int) -> bool:
        """See :meth:`PortAllocationService.release_ports`."""
        return await asyncio.to_thread(self._service.release_ports, model_name, app_num)

    async def check_port_conflicts(self) -> List[Conflict]:
        """See :meth:`PortAllocationService.check_port_conflicts`."""
        return await asyncio.to_thread(self._service.check_port_conflicts)

    async def get_all_allocations(self) -> List[Allocation]:
        """See :meth:`PortAllocationService.get_all_allocations`."""
        return await asyncio.to_thread(self._service.get_all_allocations)

    async def cleanup_orphaned_allocations(
        self, model_name: Optional[str] = None, **settings: Any
    ) -> int:
        """See :meth:`PortAllocationService.cleanup_orphaned_allocations`."""
        return await asyncio.to_thread(
            self._service.cleanup_orphaned_allocations, model_name, **settings
        )

    @asynccontextmanager
    async def allocated(
        self, model_name: str, app_num: Optional[int] = None, *, ttl: Optional[str] = None
    ) -> AsyncIterator[PortPair]:
        """See :meth:`PortAllocationService.allocated`."""
        pair, claim = await self._claim(model_name, app_num, ttl)
        try:
            yield pair
        finally:
            await self._give_back(claim)

    async def _claim(
        self, model_name: str, app_num: Optional[int], ttl: Optional[str]
    ) -> Tuple[PortPair, Optional[Claim]]:
        calling = asyncio.ensure_future(
            asyncio.to_thread(self._service._claim, model_name, app_num, ttl)
        )
        try:
            return await asyncio.shield(calling)
        except asyncio.CancelledError:
            # The thread goes on, and what it allocates would be nobody's.
            await asyncio.wait({calling})
            if not calling.cancelled() and calling.exception() is None:
                await self._give_back(calling.result()[1])
            raise

    async def _give_back(self, claim: Optional[Claim]) -> None:
        if claim is not None:
            await asyncio.shield(asyncio.to_thread(self._service._book.give_back, claim))
