"""What is raised. Each says what the command ``portbook`` would say, in its ``message`` and ``hint``."""

from __future__ import annotations

from typing import List, Optional


class PortbookError(Exception):
    """Something went wrong; nothing was changed unless the message says otherwise."""

    def __init__(
        self,
        message: str,
        code: str = "internal",
        hint: Optional[str] = None,
        problems: Optional[List[str]] = None,
        exit_status: int = 5,
    ) -> None:
        super().__init__(message, code, hint, problems, exit_status)
        #: What is wrong, as one sentence.
        self.message = message
        #: The error's name for programs, the same in every version.
        self.code = code
        #: What to do about it, if that can be said.
        self.hint = hint
        #: What is wrong with a file, line by line.
        self.problems = problems or []
        #: With what status the command would exit.
        self.exit_status = exit_status

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return "\n".join([*self.problems, f"{self.message}{hint}"])


class Declined(PortbookError):
    """The answer is no."""


class InvalidInput(PortbookError, ValueError):
    """The call, its input or the configuration is wrong."""


class NoPortLeft(PortbookError):
    """No eligible port is left."""


class BookUnusable(PortbookError):
    """The book cannot be reached, read or trusted."""


_BY_EXIT_STATUS = {1: Declined, 2: InvalidInput, 3: NoPortLeft, 4: BookUnusable}


def complaint(
    exit_status: int, code: str, message: str, hint: Optional[str], problems: List[str]
) -> PortbookError:
    """The exception for an error of the library's; the native part calls this."""
    kind = _BY_EXIT_STATUS.get(exit_status, PortbookError)
    return kind(message, code, hint, problems, exit_status)
