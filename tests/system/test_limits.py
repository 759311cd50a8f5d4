"""Each limit through the real program: named in the result, told in words, and kept to."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from driver import Program, RawServer

FILL = """
count = 0
try:
    while True:
        {step}
        count += 1
except OSError as error:
    print(count, error.strerror)
"""
OPEN = "open(f'/tmp/{count}', 'w').close()"
KEEP = "globals()[f'f{count}'] = open(f'/tmp/{count}', 'w')"
WRITE = "with open('/tmp/x', 'ab') as file: file.write(bytes(100_000))"


def result_of(vitrine: Program, code: str, *args: str) -> dict[str, Any]:
    """What `vitrine run --json` says, checked for time."""
    start = time.monotonic()
    done = vitrine.code(code, "--json", *args)
    assert time.monotonic() - start < 20
    return json.loads(done.stdout)


# Each ends the program: options, code, name, sentence, what it printed before.
ENDING = {
    "time": (
        ["--timeout", "300ms"],
        "print('before')\nwhile True: pass",
        "the time limit of 0.3 s was reached (see --timeout)",
    ),
    "time, not to be interrupted": (
        ["--timeout", "300ms"],
        "print('before')\nsum(range(10**12))",
        "the time limit of 0.3 s was reached (see --timeout)",
    ),
    "cpu": (
        ["--cpu-time", "300ms"],
        "print('before')\nwhile True: pass",
        "the CPU time limit of 0.3 s was reached (see --cpu-time)",
    ),
    "cpu, not to be interrupted": (
        ["--cpu-time", "300ms"],
        "print('before')\nsum(range(10**12))",
        "the CPU time limit of 0.3 s was reached (see --cpu-time)",
    ),
    "cpu, caught": (
        ["--cpu-time", "300ms"],
        "print('before')\nwhile True:\n try:\n  while True: pass\n except BaseException: continue",
        "the CPU time limit of 0.3 s was reached (see --cpu-time)",
    ),
    "memory": (
        ["--memory", "128M"],
        "print('before')\nx = bytearray(200 << 20)",
        "the memory limit of 128 MiB was reached (see --memory)",
    ),
    "file-bytes": (
        ["--file-bytes", "1M"],
        "print('before')\nopen('x', 'wb').write(bytes(2 << 20))",
        "the file size limit of 1048576 bytes in all was reached (see --file-bytes)",
    ),
    "file-count": (
        ["--file-count", "10"],
        "print('before')\nfor i in range(20): open(f'x{i}', 'w').close()",
        "the file count limit of 10 files was reached (see --file-count)",
    ),
    "open-files": (
        ["--open-files", "16"],
        "print('before')\nfiles = [open(f'x{i}', 'w') for i in range(20)]",
        "the open files limit of 16 files was reached (see --open-files)",
    ),
}


@pytest.mark.parametrize("case", ENDING)
def test_a_limit_ends_the_program(vitrine: Program, case: str) -> None:
    options, code, sentence = ENDING[case]
    result = result_of(vitrine, code, *options)
    assert (result["status"], result["limits"]) == ("limit", [case.partition(",")[0]])
    assert result["error"]["message"] == sentence
    assert result["stdout"] == "before\n"
    done = vitrine.code(code, *options)
    assert done.stdout == b"before\n"
    assert done.stderr.decode().endswith(f"vitrine: {sentence}\n")
    assert done.returncode == result["exit_code"] != 0


# The program catches the error and goes on: it is told all the same.
CAUGHT = {
    "file-bytes": (
        ["--file-bytes", "1M"],
        FILL.format(step=WRITE),
        "10 No space left on device\n",
        "the file size limit of 1048576 bytes in all was reached (see --file-bytes)",
    ),
    "file-count": (
        ["--file-count", "10"],
        FILL.format(step=OPEN),
        None,
        "the file count limit of 10 files was reached (see --file-count)",
    ),
    "open-files": (
        ["--open-files", "20"],
        FILL.format(step=KEEP),
        "17 No file descriptors available\n",
        "the open files limit of 20 files was reached (see --open-files)",
    ),
    "memory": (
        ["--memory", "128M"],
        "try: bytearray(200 << 20)\nexcept MemoryError: print('caught')",
        "caught\n",
        "the memory limit of 128 MiB was reached (see --memory)",
    ),
}


@pytest.mark.parametrize("case", CAUGHT)
def test_a_limit_on_the_way_is_told(vitrine: Program, case: str) -> None:
    options, code, stdout, sentence = CAUGHT[case]
    result = result_of(vitrine, code, *options)
    assert (result["status"], result["limits"]) == ("success", [case])
    assert stdout is None or result["stdout"] == stdout
    done = vitrine.code(code, *options)
    assert (done.returncode, done.stderr.decode()) == (0, f"vitrine: {sentence}\n")
    with RawServer(vitrine, *options) as server:
        server.initialize()
        assert server.text(code).endswith(f"\n<limits>\n{sentence}\n</limits>")


def test_waiting_costs_no_cpu_time(vitrine: Program) -> None:
    result = result_of(vitrine, "import time; time.sleep(1)", "--cpu-time", "400ms")
    assert (result["status"], result["limits"]) == ("success", [])


def test_a_program_may_end_when_its_cpu_time_is_over(vitrine: Program) -> None:
    """As with the time, it is a limit even so; its last words are kept."""
    code = "try:\n    while True: pass\nexcept KeyboardInterrupt: print('cleaned up')"
    result = result_of(vitrine, code, "--cpu-time", "300ms")
    assert (result["status"], result["limits"]) == ("limit", ["cpu"])
    assert result["stdout"] == "cleaned up\n"


def test_recursion_limit(vitrine: Program) -> None:
    code = "def f(n): return n and f(n - 1)\nprint(f(150), flush=True)\nf({depth})"
    result = result_of(vitrine, code.format(depth=250), "--recursion-limit", "200")
    assert (result["status"], result["limits"]) == ("run-error", ["recursion"])
    assert result["error"]["type"] == "RecursionError"
    assert result["stdout"] == "0\n"
    assert result_of(vitrine, code.format(depth=4000), "--recursion-limit", "5000")["limits"] == []
    done = vitrine.code(code.format(depth=2000))
    assert done.stderr.decode().endswith(
        "\nRecursionError: maximum recursion depth exceeded\n"
        "vitrine: the recursion limit, 1000 calls at the start, was reached "
        "(see --recursion-limit)\n"
    )


def test_a_program_without_a_recursion_limit_harms_itself_alone(vitrine: Program) -> None:
    code = "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(): f()\nprint('a')\nf()"
    with RawServer(vitrine, "--memory", "128M") as server:
        server.initialize()
        result = server.call(code)["structuredContent"]
        assert result["status"] in ("crash", "limit", "run-error")
        assert result["stdout"] == "a\n"
        assert server.call("1 + 1")["structuredContent"]["return_value"] == 2


def test_result_limit(vitrine: Program) -> None:
    result = result_of(vitrine, "'x' * 1000", "--result-limit", "100")
    assert (result["status"], result["limits"]) == ("success", ["result"])
    assert result["return_value_note"] == "truncated"
    assert [name for name, is_true in result["truncated"].items() if is_true] == ["return_value"]


def test_output_limit(vitrine: Program) -> None:
    code = "import os\nwhile True: os.write(1, b'x' * 99999)"
    result = result_of(vitrine, code, "--output-limit", "256K")
    assert (result["status"], result["limits"]) == ("limit", ["output"])
    assert [name for name, is_true in result["truncated"].items() if is_true] == ["stdout"]
    assert len(result["stdout"]) == 256 << 10


# All of them in one server.
OPTIONS = """--timeout 5 --cpu-time 300ms --memory 128M --output-limit 64K --result-limit 100
    --file-bytes 1M --file-count 50 --open-files 16 --display-count 2 --recursion-limit 150"""
REACHED = {
    "time": "import time\ntime.sleep(60)",
    "cpu": "while True: pass",
    "memory": "x = bytearray(200 << 20)",
    "output": "print('x' * 100_000)",
    "result": "'x' * 1000",
    "file-bytes": "open('/tmp/x', 'wb').write(bytes(2 << 20))",
    "file-count": "for i in range(100): open(f'/tmp/{i}', 'w').close()",
    "open-files": "files = [open('/tmp/x', 'w') for _ in range(50)]",
    "display": "for i in range(5): display(i)",
    "recursion": "def f(): f()\nf()",
}


def test_each_limit_has_its_name(vitrine: Program) -> None:
    source = Path(__file__).resolve().parents[2] / "src" / "pool" / "limit.c"
    names = re.findall(r'\{WIRE_LIMIT_\w+, "([a-z-]+)"', source.read_text(encoding="utf-8"))
    assert sorted(names) == sorted(REACHED)
    with RawServer(vitrine, *OPTIONS.split()) as server:
        server.initialize()
        for name, code in REACHED.items():
            result = server.call(code)
            assert result["structuredContent"]["limits"] == [name], (name, result)
            assert " limit" in result["content"][0]["text"], (name, result)


@pytest.mark.parametrize(
    ("option", "below", "above"),
    [
        ("--cpu-time", "0", "25h"),
        ("--open-files", "15", "513"),
        ("--recursion-limit", "99", "100001"),
        ("--display-count", "-1", "10001"),
        ("--picture-bytes", "8191", "3145729"),
    ],
)
def test_ceilings(vitrine: Program, option: str, below: str, above: str) -> None:
    for value in (below, above):
        done = vitrine("run", option, value, "-c", "1")
        assert done.returncode == 2
        assert option.encode() in done.stderr


def test_options_as_variables(vitrine: Program) -> None:
    done = vitrine(
        "run", "-c", "import sys; print(sys.getrecursionlimit())",
        env={"VITRINE_RECURSION_LIMIT": "1234"},
    )  # fmt: skip
    assert done.stdout == b"1234\n"


# ---- Output is kept up to the end ------------------------------------------------------------


@pytest.mark.parametrize("hang", ["while True: pass", "sum(range(10**12))"])
def test_lines_survive_the_kill(vitrine: Program, hang: str) -> None:
    """Lines that were printed without flush, and both streams in order."""
    code = "import sys\nfor i in range(3):\n    print(i)\n    print(-i, file=sys.stderr)\n" + hang
    result = result_of(vitrine, code, "--timeout", "500ms")
    assert result["status"] == "limit"
    assert result["output"] == [
        {"stream": stream, "text": f"{sign}{i}\n"}
        for i in range(3)
        for stream, sign in (("stdout", ""), ("stderr", "-" if i else ""))
    ]


def test_lines_are_seen_while_a_program_computes(vitrine: Program) -> None:
    """A line waits for the next one, but not for long, though the program makes no call."""
    code = "print('now')\nx = 0\nfor i in range(10**9): x += i"
    with vitrine.start("run", "--timeout", "20", "-c", code) as process:
        assert process.stdout is not None
        start = time.monotonic()
        assert process.stdout.readline() == b"now\n"
        assert time.monotonic() - start < 10
        assert process.poll() is None
        process.kill()


def test_a_million_lines(vitrine: Program) -> None:
    code = "import sys\nfor i in range(1_000_000):\n    print(i, file=sys.stdout)"
    done = vitrine("run", "--output-limit", "16M", "-c", code)
    assert done.returncode == 0
    assert done.stdout == b"".join(b"%d\n" % i for i in range(1_000_000))
