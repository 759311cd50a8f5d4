#!/usr/bin/env python3
"""Run a command with everything the tests and checks need besides the system's packages.

    test_env.py COMMAND...

Makes, once, in the cache: a virtual environment from tests/requirements.txt (`--require-hashes`),
one from tests/requirements-mcp1.txt for the clients that need the first line of the official SDK,
and the JavaScript that tests run from tests/node/ (`npm ci`, whose lock has a hash for every
package; npm itself comes in the virtual environment). Then runs COMMAND with the first
environment's programs first on PATH and VITRINE_TEST_NODE, VITRINE_TEST_NODE_MODULES and
VITRINE_TEST_MCP1_PYTHON set. tools/pin_tests.py makes the files of pins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cache

TESTS = Path(__file__).resolve().parent.parent / "tests"
REQUIREMENTS = TESTS / "requirements.txt"
REQUIREMENTS_MCP1 = TESTS / "requirements-mcp1.txt"
NODE_FILES = ("package.json", "package-lock.json")


def once(place: Path, fill: Callable[[], None]) -> Path:
    """Fill a folder that cannot be renamed (its files hold its path); a mark says it is whole."""
    mark = place / ".complete"
    if not mark.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        fill()
        mark.touch()
    return place


def make_venv(requirements: Path) -> Path:
    """The folder of a virtual environment with what the file names."""
    python = f"{sys.executable} {sys.version}"
    key = cache.sha256_of_all({"python": python, "wanted": cache.sha256_of(requirements)})
    place = cache.root() / "venv" / key[:12]

    def fill() -> None:
        cache.say(f"making the tests' virtual environment of {requirements.name} ...")
        run([sys.executable, "-m", "venv", str(place)])
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        # The file names every package there is to install. Without --no-deps, an old pip looks for
        # what they need once more, and stumbles over releases that are newer than their pins.
        run(
            [str(place / "bin" / "pip"), "install", "--no-input", "--disable-pip-version-check"]
            + [*quiet, "--require-hashes", "--only-binary=:all:", "--no-deps"]
            + ["-r", str(requirements)]
        )

    return once(place, fill)


def make_node_modules(environment: dict[str, str]) -> Path:
    """The folder node_modules/ with what tests/node/package-lock.json names."""
    key = cache.sha256_of_all({name: cache.sha256_of(TESTS / "node" / name) for name in NODE_FILES})
    place = cache.root() / "node" / key[:12]

    def fill() -> None:
        cache.say("fetching the JavaScript that tests run ...")
        for name in NODE_FILES:
            shutil.copy(TESTS / "node" / name, place / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        run(command, cwd=place, env=environment)

    return once(place, fill) / "node_modules"


def run(command: list[str], **options: object) -> None:
    """Run a step; its output is progress, not a result."""
    subprocess.run(command, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL, **options)


def main() -> int:
    """Prepare, then become the command."""
    command = sys.argv[1:]
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with cache.locked():
            programs = make_venv(REQUIREMENTS) / "bin"
            programs_mcp1 = make_venv(REQUIREMENTS_MCP1) / "bin"
            path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            environment = {**os.environ, "PATH": path}
            modules = make_node_modules(environment)
    except (subprocess.CalledProcessError, OSError) as error:
        cache.say(f"error: {error}")
        return 1
    environment["VITRINE_TEST_NODE"] = str(programs / "node")
    environment["VITRINE_TEST_NODE_MODULES"] = str(modules)
    environment["VITRINE_TEST_MCP1_PYTHON"] = str(programs_mcp1 / "python")
    os.execvpe(command[0], command, environment)
    return 0


if __name__ == "__main__":
    sys.exit(main())
