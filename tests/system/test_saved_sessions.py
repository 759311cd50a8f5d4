"""save_session and restore_session: what a client keeps of a session outlives the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Json, Program, RawServer

COLD_SECONDS_MAX = 600
WITH_SESSIONS = {"VITRINE_NO_SESSIONS": "0"}


class Client:
    """A server with a folder for saved sessions, and what is asked of it."""

    def __init__(self, vitrine: Program, folder: Path, cache: Path) -> None:
        environment = {**WITH_SESSIONS, "VITRINE_CACHE": str(cache)}
        self.server = RawServer(vitrine, "--session-dir", str(folder), env=environment)
        self.server.initialize()

    def tool(self, name: str, **arguments: Any) -> Json:
        """Call a tool; its result."""
        number = next(self.server.numbers)
        params = {"name": name, "arguments": arguments}
        self.server.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        while (message := self.server.receive(COLD_SECONDS_MAX)).get("id") != number:
            pass
        return message["result"]

    def does(self, name: str, **arguments: Any) -> Json:
        """Call a tool that works; what it says."""
        result = self.tool(name, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    def refusal(self, name: str, **arguments: Any) -> str:
        """Call a tool that does not; why."""
        result = self.tool(name, **arguments)
        assert result["isError"], result
        return result["structuredContent"]["error"]

    def prints(self, session: str, code: str) -> str:
        """What a program prints in a session."""
        said = self.does("run_python_code", python_code=code, session_id=session)
        assert said["status"] == "success", said
        return said["stdout"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "saved"
    place.mkdir()
    return place


def start(vitrine: Program, folder: Path, cache: Path) -> Client:
    return Client(vitrine, folder, cache)


@pytest.fixture
def client(vitrine: Program, folder: Path, cache: Path) -> Iterator[Client]:
    made = start(vitrine, folder, cache)
    with made.server:
        yield made


def test_after_a_restart(vitrine: Program, folder: Path, cache: Path) -> None:
    first = start(vitrine, folder, cache)
    with first.server:
        session = first.does("create_session")["session_id"]
        first.prints(session, "kept = [1]; f = open('log', 'w+'); f.write('written')")
        early = first.does("save_session", session_id=session)
        first.prints(session, "import numpy as np; x = np.arange(6.0); view = x[::2]")
        late = first.does("save_session", session_id=session)
        assert first.prints(session, "print(x.sum(), kept)") == "15.0 [1]\n"  # it goes on
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == sorted(
        f"{saved['saved_id']}.session" for saved in (early, late)
    )
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    assert late["bytes"] == (folder / f"{late['saved_id']}.session").stat().st_size

    second = start(vitrine, folder, cache)
    with second.server:
        session = second.does("restore_session", saved_id=late["saved_id"])["session_id"]
        code = "view[1] = 9; f.seek(0); print(x.sum(), kept, f.read()); import numpy.fft"
        assert second.prints(session, code) == "22.0 [1] written\n"
        other = second.does("restore_session", saved_id=late["saved_id"])["session_id"]
        assert second.prints(other, "print(x.sum())") == "15.0\n"
        session = second.does("restore_session", saved_id=early["saved_id"])["session_id"]
        assert second.prints(session, "print('x' in globals(), kept)") == "False [1]\n"
        listed = second.does("list_sessions")["sessions"]
        assert [one["state"] for one in listed] == ["open"] * 3


def test_what_is_none(client: Client, folder: Path) -> None:
    (folder / "secret.session").write_text("x")
    (folder / ("a" * 32 + ".session")).mkdir()
    (folder / ("b" * 32 + ".session")).symlink_to("/etc/passwd")
    for name in ("", "secret", "../secret", "a" * 32, "b" * 32, "0" * 32, "A" * 32, "a" * 33):
        assert client.refusal("restore_session", saved_id=name) == "there is no such saved session"
    session = client.does("create_session")["session_id"]
    assert "there is no state" in client.refusal("save_session", session_id=session)
    assert "no such session" in client.refusal("save_session", session_id="py-" + "0" * 32)
    assert client.does("list_sessions")["sessions"] == [
        {"session_id": session, "state": "empty", "age_s": 0}
    ]


def test_a_damaged_one(client: Client, folder: Path) -> None:
    session = client.does("create_session")["session_id"]
    client.prints(session, "kept = 1")
    saved = client.does("save_session", session_id=session)["saved_id"]
    path = folder / f"{saved}.session"
    whole = path.read_bytes()
    half = len(whole) // 2
    for damaged, reason in (
        (whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :], "damaged"),
        (whole[:half], "cut off"),
        (whole + b"x", "checksum"),
        (whole[:8] + b"\xff" + whole[9:], "form"),
        (b"", "cut off"),
    ):
        path.write_bytes(damaged)
        assert reason in client.refusal("restore_session", saved_id=saved)
    path.write_bytes(whole)
    session = client.does("restore_session", saved_id=saved)["session_id"]
    assert client.prints(session, "print(kept)") == "1\n"


def test_without_a_folder_there_are_no_such_tools(vitrine: Program) -> None:
    with RawServer(vitrine, env=WITH_SESSIONS) as server:
        server.initialize()
        names = {tool["name"] for tool in server.request("tools/list")["result"]["tools"]}
        assert names.isdisjoint({"save_session", "restore_session"})
