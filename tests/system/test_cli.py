"""The command line, as people and scripts use it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from driver import Program, clean_environment

REPOSITORY = Path(__file__).resolve().parents[2]


def test_run_code(vitrine: Program) -> None:
    done = vitrine("run", "-c", "print(6 * 7)")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"42\n", b"")


def test_run_file(vitrine: Program, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("import sys\nprint(sys.argv, __file__, __name__)\n1/0\n")
    done = vitrine("run", "hello.py", "a", "--json", "--", "b", cwd=tmp_path)
    expected = "['hello.py', 'a', '--json', '--', 'b'] hello.py __main__\n"
    assert done.stdout.decode() == expected
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "Traceback (most recent call last):\n"
        '  File "hello.py", line 3, in <module>\n'
        "    1/0\n    ~^~\n"
        "ZeroDivisionError: division by zero\n"
    )


def test_dashes_after_the_file_are_dropped(vitrine: Program, tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint(sys.argv[1:])")
    assert vitrine("run", script, "--", "-x", "y").stdout == b"['-x', 'y']\n"


def test_run_standard_input(vitrine: Program) -> None:
    done = vitrine("run", "-", "x", stdin=b"import sys\nprint(sys.argv)\ninput()")
    assert done.stdout == b"['-', 'x']\n"
    assert done.stderr.endswith(b"EOFError: EOF when reading a line\n")
    assert done.returncode == 1


def test_arguments_of_code(vitrine: Program) -> None:
    done = vitrine("run", "-c", "import sys; print(sys.argv)", "--", "-a", "b")
    assert done.stdout == b"['-c', '-a', 'b']\n"


def test_no_value_is_echoed(vitrine: Program) -> None:
    assert vitrine("run", "-c", "6 * 7").stdout == b""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("raise SystemExit", 0),
        ("import sys; sys.exit(0)", 0),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit('no')", 1),
        ("raise ValueError", 1),
        ("x =", 1),
        ("import os; os._exit(9)", 9),
    ],
)
def test_exit_status(vitrine: Program, code: str, status: int) -> None:
    assert vitrine.code(code).returncode == status


def test_sys_exit_with_a_text_prints_it(vitrine: Program) -> None:
    done = vitrine.code("import sys; sys.exit('no such luck')")
    assert done.stderr == b"no such luck\n"


def test_time_limit(vitrine: Program) -> None:
    start = time.monotonic()
    done = vitrine.code("print('before', flush=True)\nwhile True: pass", "--timeout", "500ms")
    assert done.returncode == 124
    assert time.monotonic() - start < 3
    assert done.stdout == b"before\n"
    assert b"vitrine: the time limit of 0.5 s was reached (see --timeout)\n" in done.stderr


def test_memory_limit(vitrine: Program) -> None:
    done = vitrine.code("x = bytearray(200 << 20)", "--memory", "128M")
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr
    assert done.stderr.endswith(
        b"\nvitrine: the memory limit of 128 MiB was reached (see --memory)\n"
    )


def test_output_limit(vitrine: Program) -> None:
    done = vitrine.code("while True: print('x' * 1000)", "--output-limit", "64K")
    assert done.returncode != 0
    assert 60_000 < len(done.stdout) <= 64 << 10
    said = b"vitrine: the output limit of 65536 bytes was reached (see --output-limit)\n"
    assert done.stderr == said


def test_environment_variables(vitrine: Program) -> None:
    code = "import os\nprint(os.environ['A'], os.environ['B'], 'CANARY' in os.environ)"
    done = vitrine("run", "--env", "A=1", "--env=B=x=y", "-c", code, env={"CANARY": "secret"})
    assert done.stdout == b"1 x=y False\n"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VITRINE_DEPS", "-x", b"is no requirement"),
        ("VITRINE_MIRROR", "/srv/wheels\nftp://example.org", b'"ftp://example.org" is neither'),
        ("VITRINE_INDEX_URL", "example.org", b"is no https:// address"),
        ("VITRINE_EXCLUDE_NEWER", "soon", b'"soon" is no date'),
    ],
)
def test_bad_package_options_from_the_environment(
    vitrine: Program, variable: str, value: str, said: bytes
) -> None:
    done = vitrine("run", "-c", "1", env={variable: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"vitrine: environment variable {variable}: ".encode())
    assert said in done.stderr


def test_standard_library_alone(vitrine: Program, tmp_path: Path) -> None:
    """Without packages nothing is looked for, and nothing is written."""
    cache = tmp_path / "cache"
    code = "try:\n    import numpy\nexcept ImportError as error:\n    print(error)"
    done = vitrine("run", "--no-install", "--cache-dir", cache, "-c", code)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"No module named 'numpy'\n"
    assert not cache.exists()


def test_options_from_the_environment(vitrine: Program) -> None:
    env = {"VITRINE_TIMEOUT": "300ms", "VITRINE_ENV": "A=1\nB=2"}
    code = "import os\nprint(os.environ['A'], os.environ['B'], flush=True)\nwhile True: pass"
    done = vitrine("run", "-c", code, env=env)
    assert done.stdout == b"1 2\n"
    assert done.returncode == 124


def test_json(vitrine: Program) -> None:
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n{'a': [1, 2.5, None]}"
    done = vitrine.code(code, "--json")
    assert done.stderr == b""
    document = json.loads(done.stdout)
    assert document["status"] == "success"
    assert document["stdout"] == "out\n"
    assert document["stderr"] == "err\n"
    assert document["output"] == [
        {"stream": "stdout", "text": "out\n"},
        {"stream": "stderr", "text": "err\n"},
    ]
    assert document["return_value"] == {"a": [1, 2.5, None]}
    assert document["error"] is None
    assert document["timings"]["wall_ms"] > 0
    assert document["memory_bytes"] > 1 << 20


def test_json_of_an_error(vitrine: Program) -> None:
    done = vitrine.code("def f():\n    return 1 / 0\nf()", "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "ZeroDivisionError"
    assert error["message"] == "division by zero"
    assert error["line"] == 2
    assert error["traceback"].startswith("Traceback (most recent call last):\n")


def test_json_of_a_limit(vitrine: Program) -> None:
    done = vitrine.code("print('x')\nwhile True: pass", "--json", "--timeout", "0.3")
    assert done.returncode == 124
    document = json.loads(done.stdout)
    assert document["status"] == "limit"
    assert document["limits"] == ["time"]
    assert document["stdout"] == "x\n"


def test_output_is_seen_while_the_program_runs(vitrine: Program) -> None:
    code = "import time\nprint('first', flush=True)\ntime.sleep(5)\nprint('last')"
    process = vitrine.start("run", "-c", code)
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], 4)
        assert readable
        assert process.stdout.readline() == b"first\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_bytes_pass_unchanged(vitrine: Program) -> None:
    code = "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 100)"
    assert vitrine.code(code).stdout == bytes(range(256)) * 100


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run(vitrine: Program, number: signal.Signals, status: int) -> None:
    process = vitrine.start("run", "-c", "print('go', flush=True)\nwhile True: pass")
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    process.send_signal(number)
    assert process.wait(timeout=5) == status
    process.communicate()


def test_control_c_reaches_the_program(vitrine: Program) -> None:
    code = (
        "try:\n    print('go', flush=True)\n    while True: pass\n"
        "except KeyboardInterrupt:\n    print('caught')\n"
    )
    process = vitrine.start("run", "-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == b"caught\n"
    assert process.wait(timeout=5) == 130
    process.communicate()


def test_control_c_at_a_terminal(vitrine: Program) -> None:
    """The key reaches the whole process group; only vitrine may act on it."""
    code = (
        "try:\n    print('go', flush=True)\n    while True: pass\n"
        "except KeyboardInterrupt:\n    print('caught')\n"
    )
    pid, leader = pty.fork()
    if pid == 0:
        os.execve(vitrine.path, ["vitrine", "run", "-c", code], clean_environment())
    seen = b""
    try:
        while block := os.read(leader, 1024):
            seen += block
            if seen.endswith(b"go\r\n"):
                os.write(leader, b"\x03")
    except OSError:
        pass
    os.close(leader)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"caught" in seen


def test_a_closed_pipe_ends_quietly(vitrine: Program) -> None:
    command = f"'{vitrine.path}' run -c 'while True: print(1)' | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, timeout=20, env=clean_environment(), check=False
    )
    assert done.stdout == b"1\n"
    assert done.stderr == b""


def run_in_terminal(vitrine: Program, *args: str) -> bytes:
    """What a terminal gets to see."""
    leader, follower = pty.openpty()
    process = vitrine.start(*args, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    seen = b""
    try:
        while block := os.read(leader, 65536):
            seen += block
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(leader)
    process.wait(timeout=10)
    return seen.replace(b"\r\n", b"\n")


def test_a_terminal_is_safe(vitrine: Program) -> None:
    code = r"print('\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[6n \x9b2J')"
    seen = run_in_terminal(vitrine, "run", "-c", code)
    assert b"\x1b[31mred\x1b[0m" in seen
    assert seen.count(b"\x1b") == 2
    assert b"\x07" not in seen
    assert b"\xc2\x9b" not in seen


def test_color(vitrine: Program) -> None:
    args = ["run", "--timeout", "300ms", "-c", "while True: pass"]
    assert b"\x1b[" in run_in_terminal(vitrine, *args)
    assert b"\x1b[" not in run_in_terminal(vitrine, "run", "--color=never", *args[1:])
    assert b"\x1b[" not in vitrine(*args).stderr
    assert b"\x1b[" in vitrine("run", "--color", "always", *args[1:]).stderr


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--no-such-option", "x.py"],
        ["run", "-Z", "x.py"],
        ["run", "--timeout"],
        ["run", "--timeout", "soon", "x.py"],
        ["run", "--timeout", "0", "x.py"],
        ["run", "--memory", "1", "x.py"],
        ["run", "--env", "NOVALUE", "x.py"],
        ["run", "--color", "blue", "x.py"],
        ["run", "--deps", "", "x.py"],
        ["run", "--deps", "numpy,,pandas", "x.py"],
        ["run", "--deps", "-r requirements.txt", "x.py"],
        ["run", "--deps", "numpy", "--no-install", "x.py"],
        ["run", "--deps", "numpy @ https://example.org/numpy.whl", "-c", "1"],
        ["run", "--index-url", "http://example.org/simple", "x.py"],
        ["run", "--index-url", "example.org", "x.py"],
        ["run", "--mirror", "http://example.org", "x.py"],
        ["run", "--exclude-newer", "2026-02-30", "x.py"],
        ["run", "--environment-memory", "1G", "x.py"],
        ["run", "--all", "x.py"],
        ["warmup", "numpy"],
        ["warmup", "--no-install"],
        ["stdio", "--environment-memory", "1K"],
        ["stdio", "extra"],
        ["stdio", "--max-cells", "0"],
        ["help", "fly"],
        ["completion", "tcsh"],
    ],
)
def test_mistakes(vitrine: Program, args: list[str]) -> None:
    done = vitrine(*args)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"vitrine: ")
    assert done.stderr.count(b"\n") == 1


def test_missing_file(vitrine: Program) -> None:
    done = vitrine("run", "/no/such/file.py")
    assert done.returncode == 125
    assert b"/no/such/file.py: No such file or directory" in done.stderr


def test_missing_parts(vitrine: Program, tmp_path: Path) -> None:
    nowhere = ["--guest-dir", str(tmp_path)]
    for args in (["run", *nowhere, "-c", "1"], ["stdio", *nowhere], ["version", *nowhere]):
        done = vitrine(*args)
        assert done.returncode == 125
        assert b"core.cwasm" in done.stderr
    assert b"core.cwasm" in vitrine("warmup", *nowhere).stderr
    done = vitrine("run", "--cell", tmp_path / "none", "-c", "1")
    assert done.returncode == 125
    assert b"--cell" in done.stderr


def test_missing_mirror(vitrine: Program, tmp_path: Path) -> None:
    done = vitrine("run", "--mirror", "wheels", "-c", "1", cwd=tmp_path)
    assert done.returncode == 125
    assert f"{tmp_path}/wheels (from --mirror) is no folder".encode() in done.stderr


def test_a_broken_cell_is_no_hang(vitrine: Program) -> None:
    """A program that is no vitrine-cell at all."""
    done = vitrine("run", "--cell", "/bin/false", "-c", "1", timeout=30)
    assert done.returncode == 125
    assert done.stderr


@pytest.mark.parametrize("code", [b"\xff\xfe", b"x = '\xff'", b"a\0b", b"\0"])
def test_code_that_is_no_text(vitrine: Program, code: bytes) -> None:
    done = vitrine("run", "-", stdin=code)
    assert done.returncode == 1
    assert b"SyntaxError" in done.stderr


def test_too_much_code(vitrine: Program) -> None:
    done = vitrine("run", "-", stdin=b"#" * (9 << 20))
    assert done.returncode == 125
    assert b"more than" in done.stderr


def test_five_megabytes_of_code(vitrine: Program) -> None:
    done = vitrine("run", "-", stdin=b"x = 1 #" + b"x" * (5 << 20) + b"\nprint(x)")
    assert done.stdout == b"1\n"


def test_version(vitrine: Program) -> None:
    done = vitrine("version")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("vitrine ")
    assert lines[1].startswith("Python 3.14")
    assert lines[2].startswith("wasmtime ")


def test_the_description_names_the_right_python(vitrine: Program) -> None:
    series = vitrine("version").stdout.decode().split("Python ")[1].split("\n")[0]
    series = ".".join(series.split(".")[:2])
    source = (REPOSITORY / "src" / "mcp" / "describe.h").read_text()
    assert f'#define DESCRIBE_PYTHON_SERIES "{series}"' in source


def test_help(vitrine: Program) -> None:
    overview = vitrine("--help").stdout.decode()
    for command in ("run", "stdio", "warmup", "doctor", "version", "help", "completion"):
        assert f"  {command} " in overview
        text = vitrine("help", command)
        assert text.returncode == 0
        assert text.stdout == vitrine(command, "--help").stdout
        assert text.stdout.decode().startswith(f"Usage: vitrine {command}")


def test_the_manual_page_is_up_to_date(vitrine: Program) -> None:
    """If it is not: `build/vitrine help --man > docs/vitrine.1`."""
    page = REPOSITORY / "docs" / "vitrine.1"
    assert vitrine("help", "--man").stdout == page.read_bytes()


def test_completion_in_bash(vitrine: Program) -> None:
    script = vitrine("completion", "bash").stdout.decode()
    script += (
        "COMP_WORDS=(vitrine run --t); COMP_CWORD=2; _vitrine; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(vitrine s); COMP_CWORD=1; _vitrine; echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "--timeout\nstdio\n"


def test_doctor(vitrine: Program) -> None:
    """A table for people, without colours in a pipe; the same as JSON; status 1 when it is bad."""
    done = vitrine("doctor")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\x1b" not in text
    for group in ("Programs", "A first run", "Jail", "System", "Packages"):
        assert f"{group}\n" in text
    assert "\nPrograms run. The jail reaches " in text
    assert b"\x1b[32m" in vitrine("doctor", "--color", "always").stdout
    found = json.loads(vitrine("doctor", "--json").stdout)
    assert found["runs"] and found["start_us"] > 0 and found["run_us"] > 0
    states = {(row["group"], row["name"]): row["state"] for row in found["findings"]}
    assert states["Programs", "vitrine-cell"] == states["A first run", "Python"] == "ok"


def test_doctor_where_nothing_works(vitrine: Program, tmp_path: Path) -> None:
    done = vitrine("doctor", "--json", "--guest-dir", str(tmp_path))
    found = json.loads(done.stdout)
    assert (done.returncode, found["runs"]) == (1, False)
    assert any("core.cwasm" in row["text"] and "advice" in row for row in found["findings"])
    (tmp_path / "core.cwasm").write_bytes(b"not machine code")
    (tmp_path / "stdlib.img").write_bytes(b"not an image")
    done = vitrine("doctor", "--guest-dir", str(tmp_path), "--cache-dir", "/proc/1\x1b[2J")
    assert done.returncode == 1
    assert b" no   6 * 7" in done.stdout and b"No program can be run.\n" in done.stdout
    assert b"\x1b" not in done.stdout
