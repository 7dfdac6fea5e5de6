"""Every app gets its own ports, and keeps them.

>>> from portbook import get_port_allocation_service
>>> pair = get_port_allocation_service().get_or_allocate_ports("openai_gpt-4", 1)  # doctest: +SKIP
>>> pair.backend, pair.frontend  # doctest: +SKIP
(5001, 8001)
"""

from ._portbook import __version__
from .aio import AsyncPortAllocationService
from .errors import BookUnusable, Declined, InvalidInput, NoPortLeft, PortbookError
from .records import Allocation, Conflict, PortPair
from .service import PortAllocationService, get_port_allocation_service

__all__ = [
    "Allocation",
    "AsyncPortAllocationService",
    "BookUnusable",
    "Conflict",
    "Declined",
    "InvalidInput",
    "NoPortLeft",
    "PortAllocationService",
    "PortPair",
    "PortbookError",
    "__version__",
    "get_port_allocation_service",
]
