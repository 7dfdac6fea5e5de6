"""What the environment says, else the file .env beside the backend's folder."""

import os
from pathlib import Path


def _of_file(path):
    values = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.lstrip().startswith("#"):
                values[name.strip()] = value.strip()
    return values


_FILE = _of_file(Path(__file__).resolve().parent.parent / ".env")


def _setting(name, default):
    return os.environ.get(name) or _FILE.get(name) or default


HOST = _setting("HOST", "127.0.0.1")
BACKEND_PORT = int(_setting("BACKEND_PORT", "{{backend_port|5001}}"))
FRONTEND_PORT = int(_setting("FRONTEND_PORT", "{{frontend_port|8001}}"))
PROJECT_NAME = _setting("PROJECT_NAME", "{{project_name}}")
