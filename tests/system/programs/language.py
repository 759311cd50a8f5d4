"""The language itself: ast, dis, tokenize, json, calendar and pprint by their own command lines."""

import ast
import json
import os
import runpy
import sys
import tempfile

os.chdir(tempfile.mkdtemp())
SOURCE = """
import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)


async def main(*args, key: int = 3, **rest):
    match args:
        case [Point(x=0) as p, *_] if key > 2:
            yield p
        case {"a": 1} | None:
            raise ValueError(f"{key!r:>{10}}")
    try:
        async with asyncio.timeout(1):
            print(f"{await asyncio.sleep(0, 1)}")
    except* OSError as e:
        del e
    finally:
        [y := 1, *(z for z in range(3) if z)]
"""
with open("source.py", "w") as file:
    file.write(SOURCE)
with open("data.json", "w") as file:
    json.dump({"b": [1, 2.5, None, True, "é\n"], "a": {"nested": {}}}, file)


def run(module: str, *args: str) -> None:
    """`python -m module args`."""
    print(">", module, *args)
    sys.argv = [module, *args]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            print("status", end.code)


tree = ast.parse(SOURCE)
print(sum(1 for _ in ast.walk(tree)))
print(ast.unparse(tree))
# To files: json.tool closes what it writes to.
run("json.tool", "data.json", "plain.json")
run("json.tool", "--sort-keys", "--compact", "--no-ensure-ascii", "data.json", "compact.json")
for name in ("plain.json", "compact.json"):
    with open(name, encoding="utf-8") as file:
        print(file.read())
run("calendar", "2026")
run("calendar", "2024", "2")
run("this")
run("tokenize", "-e", "data.json")
run("json.tool", "source.py", "none.json")
