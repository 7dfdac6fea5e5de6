"""What calls answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, TypedDict


@dataclass
class PortPair:
    """The backend and frontend port of one app."""

    backend: int
    frontend: int
    #: The model, as it was first spelt.
    model: str
    app_num: int


class Allocation(TypedDict):
    """An app's ports in a list of all."""

    model: str
    app_num: int
    backend_port: int
    frontend_port: int
    #: Every role's port, those of backend and frontend among them.
    ports: Dict[str, int]
    #: False while a port is known to be unusable for its app: a stranger listens on it, or it is blocked.
    is_available: bool
    #: The port space.
    space: str
    #: When it came to be: RFC 3339, UTC.
    created_at: str


class Conflict(str):
    """Two claims on one port, or a claim that cannot be honoured: a plain sentence that knows more."""

    #: `host-in-use`, `duplicate-port` and so on, as the command has it.
    kind: str
    #: The port, unless it is about no single one.
    port: Optional[int]
    #: The apps that are concerned: `openai_gpt-4/app1`.
    apps: List[str]
    #: What to do about it.
    hint: str

    @classmethod
    def of(cls, kind: str, port: Optional[int], apps: List[str], message: str, hint: str) -> Conflict:
        """The conflict that says this."""
        conflict = cls(message)
        conflict.kind, conflict.port, conflict.apps, conflict.hint = kind, port, apps, hint
        return conflict
