"""A preprocessor of mdBook's: puts what the command says of itself where a page says {{commands}} or {{configuration}}.

The command is PORTBOOK, else the one on the search path.
"""

import json
import os
import subprocess
import sys

SAID_BY = {
    "{{commands}}": ["man", "--markdown"],
    "{{configuration}}": ["config", "--example"],
}


def said_by(words):
    command = [os.environ.get("PORTBOOK", "portbook"), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip()


def fill(items):
    for item in items:
        if chapter := item.get("Chapter") if isinstance(item, dict) else None:
            for place, words in SAID_BY.items():
                if place in chapter["content"]:
                    chapter["content"] = chapter["content"].replace(place, said_by(words))
            fill(chapter["sub_items"])


if sys.argv[1:2] != ["supports"]:
    _context, book = json.load(sys.stdin)
    fill(book.get("items") or book["sections"])
    json.dump(book, sys.stdout)
