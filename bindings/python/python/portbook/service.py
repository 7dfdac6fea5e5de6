"""The service, with the names of the service that it replaces."""

from __future__ import annotations

import itertools
import json
import os
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union, cast

from ._portbook import Book, Claim
from .records import Allocation, Conflict, PortPair

_Path = Union[str, "os.PathLike[str]"]


class PortAllocationService:
    """Gives every app its own ports, and keeps them.

    To be shared by threads, and by a process with the children that it forks: each opens the book anew.
    An answer is given only once it is on the disk. Whatever goes wrong is a
    :class:`~portbook.errors.PortbookError`; what is wrong with the call is a :class:`ValueError`, too.
    """

    def __init__(
        self,
        config_file: Optional[_Path] = None,
        *,
        store: Optional[_Path] = None,
        space: Optional[str] = None,
        config: Optional[_Path] = None,
        no_host_check: bool = False,
        apps_dir: Optional[_Path] = None,
    ) -> None:
        """Opens the book, and makes it where there is none.

        What is not said here is what it is for the command: see the environment (``PORTBOOK_STORE`` and
        so on), ``portbook.toml``, and the defaults.

        :param config_file: the file of pre-configured ports, ``port_config.json``
        :param store: where the book is: a path, ``sqlite:PATH``, ``postgres://...``, or a server's
            ``http://HOST:PORT`` or ``unix:PATH``
        :param space: the port space to work in
        :param config: the configuration file
        :param no_host_check: do not look at which ports this host uses
        :param apps_dir: the directory that has every app's as ``MODEL/appN``, for
            :meth:`cleanup_orphaned_allocations`
        """
        said: Dict[str, Any] = {
            "store": _text(store),
            "space": space,
            "config": _text(config),
            "port_config": _text(config_file),
            "no_host_check": no_host_check,
        }
        self._apps_dir = _text(apps_dir)
        self._book = Book(**said)
        self._remake: Callable[[], PortAllocationService] = partial(
            type(self),
            config_file,
            store=store,
            space=space,
            config=config,
            no_host_check=no_host_check,
            apps_dir=apps_dir,
        )

    def __reduce__(self) -> Tuple[Callable[[], PortAllocationService], Tuple[()]]:
        # Another process opens the book itself.
        return self._remake, ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.location}>"

    @property
    def location(self) -> str:
        """Where the book is, without passwords."""
        return self._book.location()

    def get_or_allocate_ports(self, model_name: str, app_num: int) -> PortPair:
        """The app's pair of ports: those it has, else new ones, which are its own from then on."""
        return PortPair(*self._book.get_or_allocate_ports(model_name, app_num))

    def get_or_allocate_all(self, model_name: str, app_nums: Sequence[int]) -> List[PortPair]:
        """The pairs of several apps of a model in one atomic step: all of them get ports, or none."""
        return [PortPair(*pair) for pair in self._book.allocate_all(model_name, list(app_nums))]

    def get_ports(self, model_name: str, app_num: int) -> Optional[PortPair]:
        """The app's pair of ports if it has one; allocates nothing."""
        pair = self._book.get_ports(model_name, app_num)
        return None if pair is None else PortPair(*pair)

    def release_ports(self, model_name: str, app_num: int) -> bool:
        """Gives an app's ports back; False when it held none."""
        return self._book.release_ports(model_name, app_num)

    def check_port_conflicts(self) -> List[Conflict]:
        """Every conflict: the book against itself, pre-configured ports, browsers and this host."""
        told = json.loads(self._book.conflicts())
        names = ("kind", "port", "apps", "message", "hint")
        return [Conflict.of(**{name: conflict[name] for name in names}) for conflict in told]

    def get_all_allocations(self) -> List[Allocation]:
        """Every app's ports, by model, then app number."""
        return cast(List[Allocation], json.loads(self._book.allocations()))

    def cleanup_orphaned_allocations(
        self,
        model_name: Optional[str] = None,
        *,
        apps_dir: Optional[_Path] = None,
        grace: str = "7d",
        max_share: str = "20%",
    ) -> int:
        """Releases apps that are gone, and says how many.

        An app is gone when its directory is, or when its lease or the run that it was made for has
        ended. What is missed for the first time is only noted, and released by a later call once it has
        been missing for ``grace``. Where the directory cannot be trusted, or more than ``max_share`` of
        the apps would go, nothing is released.

        :param model_name: the apps of this model only
        :param apps_dir: the directory that has every app's as ``MODEL/appN``; without it that of the
            service, without either only apps whose directory the book remembers are looked for
        """
        directory = self._apps_dir if apps_dir is None else _text(apps_dir)
        found = json.loads(self._book.clean_up(model_name, directory, grace, max_share))
        return sum(orphan["state"] == "released" for orphan in found["orphans"])

    @contextmanager
    def allocated(
        self, model_name: str, app_num: Optional[int] = None, *, ttl: Optional[str] = None
    ) -> Iterator[PortPair]:
        """Ports for as long as a ``with`` block lasts.

        Without ``app_num``, those of the model's first app that has none. An app that held its ports
        before keeps them after; what this block allocated is released, unless somebody did so before.

        :param ttl: a lease, such as ``2h``: if this process does not live to release the ports, they are
            anybody's when it ends
        """
        pair, claim = self._claim(model_name, app_num, ttl)
        try:
            yield pair
        finally:
            if claim is not None:
                self._book.give_back(claim)

    def _claim(
        self, model_name: str, app_num: Optional[int], ttl: Optional[str]
    ) -> Tuple[PortPair, Optional[Claim]]:
        if app_num is not None:
            pair, claim = self._book.claim(model_name, app_num, ttl)
            return PortPair(*pair), claim
        for number in itertools.count(1):
            # To ask for the ports of somebody else's app would renew its lease.
            if self._book.get_ports(model_name, number) is not None:
                continue
            pair, claim = self._book.claim(model_name, number, ttl)
            if claim is not None:
                return PortPair(*pair), claim
        raise AssertionError("app numbers end with an error")


_services: Dict[str, PortAllocationService] = {}


def get_port_allocation_service(
    config_file: Optional[_Path] = None, **settings: Any
) -> PortAllocationService:
    """The service of this process, opened by the first who asks.

    The arguments are those of :class:`PortAllocationService`; of later callers they are not looked at.
    """
    service = _services.get("")
    if service is None:
        # Of two threads at once both get the one that was there first.
        service = _services.setdefault("", PortAllocationService(config_file, **settings))
    return service


def _text(path: Optional[_Path]) -> Optional[str]:
    return None if path is None else os.fspath(path)
