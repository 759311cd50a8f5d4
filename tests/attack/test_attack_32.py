"""Attack 32: characters that steer a terminal, a log, or whatever reads JSON.

Expected: each message of the server is one line of printable JSON in UTF-8; on a terminal only
colours come through; and what Vitrine itself says (errors, names, log lines) holds none of them.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from driver import Program, clean_environment
from target import Target

OPTIONS = ("--timeout", "5")

EVIL = {
    "title": "\x1b]0;evil\x07",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\",
    "link": "\x1b]8;;file:///etc/passwd\x1b\\click\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "answer": "\x1b[6n\x1b[c\x1b[0x",
    "keys": "\x1b[?1003h\x1b[?2004h",
    "device": '\x1bP$q"p\x1b\\',
    "c1": "\x9b2J\x9d0;evil\x9c",
    "return": "harmless\rvitrine: forged",
    "backspace": "abc\b\b\bevil",
    "bidi": "\u202eevil\u202c \u2066x\u2069",
    "separators": "a\u2028vitrine: forged\u2029b\x85c",
    "bell": "\a\a\0\x0e\x0f\x7f",
    "newline": "a\nvitrine: error: forged",
}
NOT_UTF8 = [b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x82"]
# What may never reach a terminal from Vitrine; colours, and a line that is cleared, are its own.
STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[K|\r\n")


def test_answers(shared: Target) -> None:
    code = """
print(it)
import sys
print(it, file=sys.stderr)
display(it)
raise type('E', (Exception,), {'__qualname__': it, '__module__': it})(it)
"""
    for name, text in EVIL.items():
        answer = shared.server.call(code, it=text)
        content = answer["structuredContent"]
        assert content["status"] == "run-error", (name, content)
        assert content["stdout"] == text + "\n", name
        json.dumps(answer, ensure_ascii=False).encode()  # no half of a pair is in it
        value = shared.server.call("[it, {it: it}]", it=text)["structuredContent"]
        assert value["return_value"] == [text, {text: text}], name


def test_lines_of_the_server(vitrine: Program) -> None:
    """Byte by byte: no control character but the newline at the end, and UTF-8."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    params |= {"clientInfo": {"name": "test", "version": "1"}}
    messages = [{"id": 0, "method": "initialize", "params": params}]
    programs = [f"print({text!r})\n{text!r}" for text in EVIL.values()]
    programs += [f"import os\nos.write(1, {data!r})\nos.write(2, {data!r})" for data in NOT_UTF8]
    programs.append("x = ['\\ud800', '\\udcff\\udc80']\nprint(*x)\nx")
    for number, code in enumerate(programs, 1):
        arguments = {"name": "run_python_code", "arguments": {"python_code": code}}
        messages.append({"id": number, "method": "tools/call", "params": arguments})
    lines = [json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages]
    done = vitrine("stdio", "--no-install", stdin=b"".join(lines))
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert {answer["id"] for answer in answers} == set(range(len(messages)))
    text = done.stdout.decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert len(text.split("\n")) == len(answers) + 1


def on_terminal(vitrine: Program, *args: str | bytes, cwd: Path | None = None) -> str:
    """What a terminal gets."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [os.fsencode(vitrine.path), *args],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=clean_environment(),
            cwd=cwd,
        )
        os.close(theirs)
        data = b""
        while True:
            try:
                data += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        process.wait(30)
    finally:
        os.close(ours)
    return data.decode()


def check_screen(shown: str) -> None:
    assert not STEERING.search(OURS.sub("", shown)), repr(shown)


def test_a_program_on_a_terminal(vitrine: Program) -> None:
    """Unlike python's, its output is filtered; into a pipe it goes as it is."""
    for name, text in EVIL.items():
        code = (
            f"import sys\nit = {text!r}\nprint(it)\nprint(it, file=sys.stderr)\nraise OSError(it)"
        )
        shown = on_terminal(vitrine, "run", "-c", code)
        check_screen(shown.replace("harmless\r", ""))
        assert name == "bell" or re.search("evil|harmless|a", shown)
    done = vitrine("run", "-c", f"print({EVIL['title']!r})")
    assert done.stdout == EVIL["title"].encode() + b"\n"


def test_bytes_on_a_terminal(vitrine: Program) -> None:
    for data in NOT_UTF8:
        check_screen(on_terminal(vitrine, "run", "-c", f"import os\nos.write(1, {data!r})"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "{evil}.py"],
        ["run", "--deps", "{evil}", "-c", "1"],
        ["run", "--timeout", "{evil}", "-c", "1"],
        ["run", "--{evil}", "-c", "1"],
        ["{evil}"],
        ["help", "{evil}"],
        ["run", "--guest-dir", "/nowhere/{evil}", "-c", "1"],
        ["run", "--cell", "/nowhere/{evil}", "-c", "1"],
        ["run", "--allow-packages", "/nowhere/{evil}", "-c", "1"],
        ["run", "--index", "https://localhost/{evil}", "-c", "1"],
    ],
    ids=lambda words: " ".join(words),
)
def test_names_in_messages(vitrine: Program, arguments: list[str]) -> None:
    evil = "".join(text for text in EVIL.values() if "\0" not in text)
    for name in (evil.encode(), evil.encode() + b"".join(NOT_UTF8)):
        words = [os.fsencode(word).replace(b"{evil}", name) for word in arguments]
        shown = on_terminal(vitrine, *words)
        check_screen(shown)
        lines = [line for line in shown.splitlines() if "forged" in line]
        assert all(line.startswith("vitrine: ") and "???" in line for line in lines), shown
        assert not any(line.startswith("vitrine: forged") for line in lines), shown


def test_names_of_packages(shared: Target) -> None:
    """Requirements that are none are refused; the words that say so are JSON."""
    for text in EVIL.values():
        message = shared.server.call_message("1")
        message["params"]["arguments"]["dependencies"] = [text]
        shared.server.send(message)
        result = shared.server.answer_to(message["id"])
        assert "error" in result or result["result"]["structuredContent"]["status"] != "success"


def test_names_of_files(vitrine: Program, tmp_path: Path) -> None:
    """A script whose own name is evil: in its traceback, and on the terminal."""
    for name, text in EVIL.items():
        if "/" in text or "\0" in text:
            continue
        path = tmp_path / f"{text}.py"
        path.write_text("1 / 0")
        shown = on_terminal(vitrine, "run", os.fsencode(path))
        check_screen(shown.replace("harmless\r", ""))
        assert "ZeroDivisionError" in shown, (name, shown)
