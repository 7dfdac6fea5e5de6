"""A preprocessor of mdBook's: puts the reference that the command makes of itself where a page says {{commands}}.

The command is PORTBOOK, else the one on the search path.
"""

import json
import os
import subprocess
import sys


def fill(items, text):
    for item in items:
        if chapter := item.get("Chapter") if isinstance(item, dict) else None:
            chapter["content"] = chapter["content"].replace("{{commands}}", text)
            fill(chapter["sub_items"], text)


if sys.argv[1:2] != ["supports"]:
    _context, book = json.load(sys.stdin)
    command = os.environ.get("PORTBOOK", "portbook")
    text = subprocess.run([command, "man", "--markdown"], check=True, stdout=subprocess.PIPE, text=True).stdout
    fill(book.get("items") or book["sections"], text)
    json.dump(book, sys.stdout)
