"""Files of a run: those that it is given, and those that it made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from driver import Program, RawServer
from http_server import HttpServer
from raw_http import RawClient


def result_of(vitrine: Program, code: str, *args: str) -> dict[str, Any]:
    """What `vitrine run --json` says."""
    return json.loads(vitrine.code(code, "--json", *args).stdout)


def names(result: dict[str, Any]) -> list[str]:
    """What was made."""
    return [file["name"] for file in result.get("files", [])]


def test_given(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,\xff\n")
    code = "import os\n[open(p, 'rb').read().hex() for p in ('data/b.csv', 'c')] + os.listdir()"
    result = result_of(
        vitrine, code, "--file", f"data/b.csv={tmp_path}/a.csv", "--file", "c=/dev/null"
    )
    assert result["return_value"] == [b"x,y\n1,\xff\n".hex(), "", "data", "c"]
    assert names(result) == []  # they were there before


def test_given_by_its_own_name(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    done = vitrine("run", "--file", "a.txt", "-c", "print(open('a.txt').read())", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (b"hello\n", b"")


def test_given_and_changed(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    code = "open('a', 'a').write('2'); open('b').close()"
    result = result_of(vitrine, code, "--file", f"a={tmp_path}/a", "--file", f"b={tmp_path}/a")
    assert result["files"] == [{"name": "a", "size": 2, "media_type": "text/plain", "text": "12"}]


def test_refused(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    for name in ("../a", "/a", "", "a/", "a/../../b"):
        done = vitrine("run", "--file", f"{name}={tmp_path}/a", "-c", "print(1)")
        assert (done.returncode, done.stdout) == (2, b""), name
    done = vitrine("run", "--file", "a=/nowhere/a", "-c", "print(1)")
    assert done.returncode == 125 and b"/nowhere/a" in done.stderr


def test_given_without_room(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    result = result_of(vitrine, "print(1)", "--file", f"a={tmp_path}/a", "--file-bytes", "10K")
    assert (result["status"], result["limits"], result["stdout"]) == ("limit", ["file-bytes"], "")


def test_made(vitrine: Program) -> None:
    code = """
import os, pathlib, shutil
pathlib.Path('out.csv').write_text('a,b\\n')
os.makedirs('x/y')
pathlib.Path('x/y/p.png').write_bytes(b'\\x89PNG\\r\\n\\x1a\\n')
pathlib.Path('large.bin').write_bytes(bytes(100_000))
pathlib.Path('gone').write_text('1'); os.remove('gone')
pathlib.Path('old').write_text('1'); os.rename('old', 'new')
pathlib.Path('.hidden').write_text('1')
os.makedirs('.cache'); pathlib.Path('.cache/a').write_text('1')
pathlib.Path('/tmp/elsewhere').write_text('1')
os.symlink('/tmp/elsewhere', 'link')
os.makedirs('__pycache__'); pathlib.Path('__pycache__/a.pyc').write_text('1')
pathlib.Path('a"\\n\\x1b[2J').write_text('1')
os.chdir('/tmp')
"""
    result = result_of(vitrine, code)
    assert names(result) == ['a"\n\x1b[2J', "large.bin", "new", "out.csv", "x/y/p.png"]
    files = {file["name"]: file for file in result["files"]}
    assert files["out.csv"]["text"] == "a,b\n"
    assert files["large.bin"] == {
        "name": "large.bin",
        "size": 100_000,
        "media_type": "application/octet-stream",
    }
    assert base64.b64decode(files["x/y/p.png"]["blob"]) == b"\x89PNG\r\n\x1a\n"


def test_made_whatever_the_end(vitrine: Program) -> None:
    make = "open('a', 'w').write('1')\n"
    for code, status in (
        ("1/0", "run-error"),
        ("import os; os._exit(3)", "crash"),
        ("while True: pass", "limit"),
        ("import ctypes; ctypes.string_at(2**32 - 1)", "crash"),
    ):
        result = result_of(vitrine, make + code, "--timeout", "1")
        assert (result["status"], names(result)) == (status, ["a"]), code


def test_too_many(vitrine: Program) -> None:
    result = result_of(vitrine, "for i in range(1000): open(f'{i:04}', 'w').close()")
    assert (len(names(result)), result["files_left_out"]) == (256, 1000 - 256)
    assert names(result)[-1] == "0255"


# ---- The tool ----------------------------------------------------------------------------------

MAKE = """
open('small.csv', 'w').write('a,b\\n1,2\\n')
open('small.bin', 'wb').write(bytes(range(256)))
open('large.txt', 'w').write('é' * 100_000)
open('large.bin', 'wb').write(bytes(300_000))
"""


def read(server: RawServer, uri: str) -> dict[str, Any]:
    """What resources/read has."""
    [found] = server.request("resources/read", {"uri": uri})["result"]["contents"]
    return found


def called(server: RawServer, code: str, **files: Any) -> dict[str, Any]:
    """The result of a call with files."""
    arguments = {"python_code": code, "files": files}
    return server.request("tools/call", {"name": "run_python_code", "arguments": arguments})


def test_tool_takes_files(server: RawServer) -> None:
    server.initialize()
    code = "[open(n, 'rb').read().hex() for n in ('a.txt', 'd/b.bin')]"
    given = {"a.txt": "é\n", "d/b.bin": {"base64": base64.b64encode(bytes(range(256))).decode()}}
    result = called(server, code, **given)["result"]["structuredContent"]
    assert result["return_value"] == ["é\n".encode().hex(), bytes(range(256)).hex()]
    assert "files" not in result


def test_tool_refuses_files(server: RawServer) -> None:
    server.initialize()
    for files in (
        {"../a": "x"},
        {"/a": "x"},
        {"": "x"},
        {"a\0b": "x"},
        {"a": 1},
        {"a": None},
        {"a": {"base64": "?"}},
        {"a": {"base64": "Zg"}},
        {"a": {"base64": 1}},
        {"a": {"text": "x"}},
        {"a": {}},
        {"a": {"base64": "", "more": 1}},
        {"a": "x", "a/b": "y"},
        {str(i): "" for i in range(257)},
    ):
        result = called(server, "1", **files)["result"]
        assert result["isError"], files
        assert result["structuredContent"]["status"] == "refused", files


def test_tool_gives_files(server: RawServer) -> None:
    server.initialize()
    result = called(server, MAKE)["result"]
    files = {file["name"]: file for file in result["structuredContent"]["files"]}
    pieces = {piece["type"]: [] for piece in result["content"]}
    for piece in result["content"]:
        pieces[piece["type"]].append(piece)
    embedded = {piece["resource"]["uri"]: piece["resource"] for piece in pieces["resource"]}
    links = {piece["name"]: piece for piece in pieces["resource_link"]}
    assert embedded[files["small.csv"]["uri"]]["text"] == "a,b\n1,2\n"
    assert embedded[files["small.csv"]["uri"]]["mimeType"] == "text/csv"
    assert embedded[files["small.bin"]["uri"]]["blob"] == files["small.bin"]["blob"]
    assert set(links) == {"large.txt", "large.bin"}
    assert (links["large.bin"]["size"], links["large.txt"]["size"]) == (300_000, 200_000)
    assert "text" not in files["large.txt"]
    for name, file in files.items():
        assert file["uri"].startswith("vitrine://files/") and file["uri"].endswith("/" + name)
    assert read(server, files["large.txt"]["uri"])["text"] == "é" * 100_000
    whole = read(server, links["large.bin"]["uri"])
    assert base64.b64decode(whole["blob"]) == bytes(300_000)
    assert whole["mimeType"] == "application/octet-stream"
    # Parts.
    uri = files["small.bin"]["uri"]
    for query, found in (
        ("?offset=10&length=5", bytes(range(10, 15))),
        ("?length=3", bytes(range(3))),
        ("?offset=250", bytes(range(250, 256))),
        ("?offset=256", b""),
        ("?offset=9999999999&length=1", b""),
    ):
        assert base64.b64decode(read(server, uri + query)["blob"]) == found
    part = read(server, files["large.txt"]["uri"] + "?offset=2&length=4")
    assert part["text"] == "éé"
    cut = read(server, files["large.txt"]["uri"] + "?offset=1&length=4")
    assert base64.b64decode(cut["blob"]) == "ééé".encode()[1:5]
    for wrong in (
        "?offset=-1",
        "?length=",
        "?a=1",
        "?offset=1&&",
        "?offset=1e9",
        "?offset=1;length=2",
    ):
        assert "error" in server.request("resources/read", {"uri": uri + wrong}), wrong


def test_uris_are_not_guessed(server: RawServer) -> None:
    server.initialize()
    [file] = called(server, "open('a', 'w').write('1')")["result"]["structuredContent"]["files"]
    head, key, name = file["uri"].rsplit("/", 2)
    other = key[:-1] + ("A" if key[-1] != "A" else "Q")
    for uri in (
        f"{head}/{other}/{name}",
        f"{head}/{key[:-1]}/{name}",
        f"{head}/{key}x/{name}",
        f"{head}//{name}",
        f"{head}/../{key}/{name}",
        "vitrine://files/",
        "file:///etc/passwd",
    ):
        assert "error" in server.request("resources/read", {"uri": uri}), uri
    assert read(server, f"{head}/{key}/other-name")["text"] == "1"  # the name is for people


def test_names_in_uris(server: RawServer) -> None:
    server.initialize()
    code = """
for name in ('a b?c#d%.txt', 'é' * 80 + '.csv', 'x' * 255, '..', 'q"\\n.txt'):
    try: open(name, 'w').write(name)
    except OSError: pass
"""
    for file in called(server, code)["result"]["structuredContent"]["files"]:
        assert len(file["uri"]) < 128 and file["uri"].isascii() and " " not in file["uri"]
        assert read(server, file["uri"])["text"] == file["name"]


def test_the_oldest_go_first(server: RawServer) -> None:
    """64 MiB of one client are kept."""
    server.initialize()
    code = "open('a', 'wb').write(bytes(15 << 20))"
    uris = []
    for _ in range(5):
        [file] = called(server, code)["result"]["structuredContent"]["files"]
        uris.append(file["uri"])
    assert "error" in server.request("resources/read", {"uri": uris[0] + "?length=1"})
    for uri in uris[1:]:
        assert read(server, uri + "?length=1")["blob"] == "AA=="


def test_mounted_to_be_read(vitrine: Program, tmp_path: Path) -> None:
    with RawServer(vitrine, "--mount", str(tmp_path)) as server:
        server.initialize()
        result = called(server, "1", a="x")["result"]["structuredContent"]
        assert result["status"] == "refused" and "--mount" in result["error"]["message"]
    with RawServer(vitrine, "--mount", f"{tmp_path}:overlay") as server:
        server.initialize()
        (tmp_path / "b").write_text("2")
        code = "open('c', 'w').write(open('a').read() + open('b').read())"
        result = called(server, code, a="x")["result"]["structuredContent"]
        assert names(result) == ["c"]
        assert not (tmp_path / "c").exists()


def test_clients_do_not_see_each_others_files(vitrine: Program) -> None:
    """Over HTTP: by session, and without one by address."""
    with HttpServer(vitrine) as server:
        first, second = RawClient(server.root), RawClient(server.root)
        first.initialize()
        second.initialize()
        [file] = first.call("open('a', 'w').write('mine')")["files"]
        message = first.message("resources/read", {"uri": file["uri"]})
        [found] = first.post(message).json["result"]["contents"]
        assert found["text"] == "mine"
        assert "error" in second.post(message).json
        modern = second.post_modern(
            second.message("resources/read", {"uri": file["uri"]})
        ).getresponse()
        assert modern.status >= 400 and b"mine" not in modern.read()
