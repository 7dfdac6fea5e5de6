"""Calls a second for an app that is there, against a SELECT of the sqlite3 module, turn by turn in one run.

Prints the ratio of the medians; exit status 1 where the bound is missed.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

from portbook import PortAllocationService

BOUND = 0.5
ROUNDS = 15
CALLS = 4_000
APPS = 750


def calls_a_second(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return CALLS / (time.perf_counter() - began)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        service = PortAllocationService(store=Path(folder, "book.db"), no_host_check=True)
        service.get_or_allocate_all("openai_gpt-4", range(1, APPS + 1))

        # The old table, in a database with the book's journal.
        db = sqlite3.connect("old.db")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE port_configurations (id INTEGER PRIMARY KEY, model TEXT NOT NULL,"
            " app_num INTEGER NOT NULL, backend_port INTEGER NOT NULL, frontend_port INTEGER NOT NULL,"
            " UNIQUE (model, app_num))"
        )
        db.executemany(
            "INSERT INTO port_configurations VALUES (NULL, 'openai_gpt-4', ?, ?, ?)",
            [(number, 4999 + 2 * number, 7999 + 2 * number) for number in range(1, APPS + 1)],
        )
        db.commit()
        select = (
            "SELECT backend_port, frontend_port, model, app_num FROM port_configurations"
            " WHERE model = ? AND app_num = ?"
        )

        def ours() -> object:
            return service.get_or_allocate_ports("openai_gpt-4", 400)

        def floor() -> object:
            return db.execute(select, ("openai_gpt-4", 400)).fetchone()

        ours(), floor()
        rounds = [(calls_a_second(ours), calls_a_second(floor)) for _ in range(ROUNDS)]
        db.close()
    mine, theirs = (statistics.median(side) for side in zip(*rounds))
    ratio = mine / theirs
    verdict = "kept" if ratio >= BOUND else "MISSED"
    print(f"python     calls a second for an app that is there: {mine:,.0f} against {theirs:,.0f}")
    print(f"python     against a SELECT by sqlite3: {ratio:.2f} (at least {BOUND}: {verdict})")
    return 0 if ratio >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
