"""The fixture ``portbook_ports``: each test has its ports, whoever else runs tests meanwhile."""

from __future__ import annotations

from typing import Iterator

import pytest

from .records import PortPair
from .service import get_port_allocation_service

#: If the process is killed, the ports of its test are anybody's after this.
_LEASE = "1h"


@pytest.fixture
def portbook_ports(request: pytest.FixtureRequest) -> Iterator[PortPair]:
    """A backend and a frontend port that no app, no other test and no other run of tests has.

    They are those of an app of the model ``pytest_`` and the name of the project's directory, in the
    book that the environment and the configuration name, and are given back after the test.
    """
    model = f"pytest_{request.config.rootpath.name}"
    with get_port_allocation_service().allocated(model, ttl=_LEASE) as pair:
        yield pair
