"""Attack 40: an index that leads elsewhere, never ends, or unpacks to more than it seems.

Expected: refused or failed, with a reason; nobody but the index was talked to; nothing is kept; and
the program goes on to answer the next question.
"""

from __future__ import annotations

import gzip
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import fetcher
import pytest
from driver import is_sanitized
from fetcher import CONFIG_INDEX, FAILED, OK, PAGE, REFUSED, WHEEL, Reply, World, sha256

NAME = "demo-1.0-py3-none-any.whl"
WHEEL_BYTES = fetcher.make_wheel("demo", "1.0")
PAGE_BYTES_MAX = 64 << 20
COST = 3 if is_sanitized() else 1  # sanitizers take memory and time of their own

# Where no redirect may lead: not https, or an address that is not public.
FORBIDDEN = [
    "http://localhost:{port}/x",
    "http://index.test/x",
    "ftp://localhost/x",
    "file:///etc/passwd",
    "gopher://localhost:{port}/x",
    "https://127.0.0.1:{port}/x",
    "https://127.1:{port}/x",
    "https://2130706433:{port}/x",
    "https://0x7f000001:{port}/x",
    "https://0177.0.0.1:{port}/x",
    "https://[::1]:{port}/x",
    "https://[::ffff:127.0.0.1]:{port}/x",
    "https://[64:ff9b::7f00:1]:{port}/x",
    "https://[2002:7f00:1::]:{port}/x",
    "https://[fe80::1]/x",
    "https://[fd00::1]/x",
    "https://0.0.0.0:{port}/x",
    "https://localhost:{port}/x",  # the index's host, but not its port
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/x",
    "https://192.168.1.1/x",
    "https://172.16.0.1/x",
    "https://100.64.0.1/x",
    "https://224.0.0.1/x",
    "//127.0.0.1:{port}/x",
]


def is_clean(world: World) -> bool:
    """Whether nothing was kept of what was refused."""
    return not any(fetcher.files_under(world.cache / name) for name in ("wheels", "fetching"))


@pytest.mark.parametrize("target", FORBIDDEN)
def test_redirect_to_where_nothing_public_is(world: World, target: str) -> None:
    index, inside = world.server(), world.server()
    target = target.format(port=inside.port)
    redirect = Reply(status=302, headers={"Location": target})
    index.page("demo", index.file(NAME, WHEEL_BYTES))
    index.replies["/simple/moved/"] = index.replies[f"/files/{NAME}"] = redirect
    for path in ("/x", "/latest/meta-data"):
        inside.replies[path] = Reply(WHEEL_BYTES)
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        assert program.get(PAGE, "moved").status == REFUSED
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(WHEEL_BYTES)).status == REFUSED
    assert inside.asked == []
    assert is_clean(world)


@pytest.mark.parametrize("target", [t for t in FORBIDDEN if t.startswith("https:")])
def test_link_on_a_page_to_where_nothing_public_is(world: World, target: str) -> None:
    index, inside = world.server(), world.server()
    inside.replies["/x"] = Reply(WHEEL_BYTES)
    entry = index.file(NAME, WHEEL_BYTES)
    index.page("demo", {**entry, "url": target.format(port=inside.port)})
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(WHEEL_BYTES)).status == REFUSED
    assert inside.asked == []


def test_redirects_without_end(world: World) -> None:
    index = world.server()
    count = 0

    def onward() -> Reply:
        nonlocal count
        count += 1
        return Reply(status=302, headers={"Location": "/simple/loop/"})

    index.replies["/simple/loop/"] = onward
    for hop in range(9):
        index.replies[f"/simple/hop{hop}/"] = Reply(
            status=307, headers={"Location": f"/simple/hop{hop + 1}/"}
        )
    index.page("hop5")
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        assert program.get(PAGE, "loop").status == REFUSED
        assert count == 6
        assert program.get(PAGE, "hop0").status == OK  # five are allowed


def cpu_seconds(pid: int) -> float:
    """What a living process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def zeros() -> Iterator[bytes]:
    """A body without end."""
    while True:
        yield bytes(1 << 20)


def test_ten_gigabytes_announced(world: World) -> None:
    index = world.server()
    index.page("demo", index.file(NAME, WHEEL_BYTES))
    index.replies["/simple/huge/"] = lambda: Reply(zeros(), length=10 << 30)
    index.replies[f"/files/{NAME}"] = lambda: Reply(zeros(), length=10 << 30)
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        began = time.monotonic()
        assert program.get(PAGE, "huge").status == REFUSED
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(WHEEL_BYTES)).status == REFUSED
        assert time.monotonic() - began < 5
    assert is_clean(world)


def test_ten_gigabytes_without_a_word(world: World) -> None:
    index = world.server()
    page = {"Content-Type": fetcher.JSON_TYPE}
    index.page("demo", index.file(NAME, WHEEL_BYTES, size=len(WHEEL_BYTES)))
    index.replies["/simple/huge/"] = lambda: Reply(zeros(), headers=page)
    index.replies[f"/files/{NAME}"] = lambda: Reply(zeros())
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        answer = program.get(PAGE, "huge")
        assert (answer.status, str(PAGE_BYTES_MAX) in answer.text) == (REFUSED, True)
        program.get(PAGE, "demo")
        # The page has told the wheel's size, and not a byte more is taken.
        answer = program.get(WHEEL, sha256(WHEEL_BYTES))
        assert (answer.status, str(len(WHEEL_BYTES)) in answer.text) == (REFUSED, True)
    assert is_clean(world)


def test_bomb(world: World) -> None:
    index = world.server()
    once = gzip.compress(bytes(1 << 28))
    headers = {"Content-Type": fetcher.JSON_TYPE, "Content-Encoding": "gzip"}
    index.replies["/simple/bomb/"] = Reply(once, headers=headers)
    index.replies["/simple/nested/"] = Reply(
        gzip.compress(once), headers={**headers, "Content-Encoding": "gzip, gzip"}
    )
    index.replies["/simple/error/"] = Reply(once, status=500, headers=headers)
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        assert program.get(PAGE, "bomb").status == REFUSED
        assert program.get(PAGE, "nested").status in (REFUSED, FAILED)
        assert program.get(PAGE, "error").status == FAILED
        status = Path(f"/proc/{program.pid}/status").read_text(encoding="utf-8")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < COST * 4 * PAGE_BYTES_MAX >> 10  # the buffer doubles as it grows


def test_slow_drip(world: World) -> None:
    index = world.server()

    def drops() -> Iterator[bytes]:
        while True:
            yield b" "
            time.sleep(0.2)

    page = {"Content-Type": fetcher.JSON_TYPE}
    index.replies["/simple/slow/"] = lambda: Reply(drops(), headers=page)
    index.page("quick")
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        began = time.monotonic()
        slow = program.ask(PAGE, "slow")
        assert program.get(PAGE, "quick").status == OK  # others are served meanwhile
        answer = program.wait(slow, 60)
        assert answer.status == FAILED
        assert 25 < time.monotonic() - began < 40


def test_headers_without_end(world: World) -> None:
    index = world.server()
    many = {f"X-{number}": "x" * 1000 for number in range(99)}
    index.replies["/simple/one/"] = Reply(status=404, headers=many)
    index.replies["/simple/two/"] = Reply(status=404, headers={"X": "x" * 900_000})
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        assert program.get(PAGE, "two").status in (FAILED, REFUSED)
        assert program.get(PAGE, "one").status == fetcher.MISSING


def test_deep_and_broken_pages(world: World) -> None:
    index = world.server()
    deep = {
        "a": (b"<div>" * 2_000_000, fetcher.HTML_TYPE),
        "b": (b"<a " + b"x " * 3_000_000 + b"href=y>", fetcher.HTML_TYPE),
        "c": (b"<a href=" * 1_000_000, fetcher.HTML_TYPE),
        "d": (b"[" * 5_000_000, fetcher.JSON_TYPE),
        "e": (b"<!--" * 2_000_000, fetcher.HTML_TYPE),
        "f": (b"<script></scrip" * 1_000_000, fetcher.HTML_TYPE),
        "g": (b"<a href='x.whl#" + b"&" * 3_000_000 + b"'>", fetcher.HTML_TYPE),
    }
    for name, (body, kind) in deep.items():
        index.replies[f"/simple/{name}/"] = Reply(body, headers={"Content-Type": kind})
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        for name in deep:
            assert program.get(PAGE, name).status in (OK, FAILED)
        assert cpu_seconds(program.pid) < COST * 20


def test_open_files_come_back(world: World) -> None:
    index = world.server()
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        program.get(PAGE, "first")
        before = len(list(Path(f"/proc/{program.pid}/fd").iterdir()))
        for number in range(50):
            program.get(PAGE, f"p{number}")
        after = len(list(Path(f"/proc/{program.pid}/fd").iterdir()))
    assert after <= before + 8 < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
