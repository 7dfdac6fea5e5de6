"""``python -m portbook`` is the command ``portbook``, which comes with the package."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NoReturn, Optional


def command() -> Optional[Path]:
    """Where the command was installed along with this package."""
    try:
        installed = files("portbook") or []
    except PackageNotFoundError:
        return None
    names = ("portbook", "portbook.exe")
    # Only the command lies outside of the package's own folders.
    found = (Path(file.locate()) for file in installed if file.name in names and file.parts[0] == "..")
    return next((path.resolve() for path in found if path.is_file()), None)


def main() -> NoReturn:
    """Becomes the command."""
    path = command()
    if path is None:
        sys.exit(
            "portbook: this installation of the package has no command in it"
            " (install its wheel, or `cargo install --path crates/portbook-cli` in portbook's sources)"
        )
    arguments = [str(path), *sys.argv[1:]]
    if sys.platform == "win32":
        sys.exit(subprocess.call(arguments))
    os.execv(path, arguments)


if __name__ == "__main__":
    main()
