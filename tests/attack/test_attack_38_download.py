"""Attack 38, the download: wheels that are not what their page or the lock file says.

Expected: refused with the reason, and nothing in the cache. Source distributions and wheels for
other machines are never offered; their number is told.
"""

from __future__ import annotations

import fetcher
import pytest
from fetcher import (
    CONFIG_INDEX,
    CONFIG_LOCK,
    CONFIG_MIRROR,
    FAILED,
    METADATA,
    MISSING,
    OK,
    PAGE,
    REFUSED,
    WHEEL,
    Reply,
    World,
    sha256,
)

NAME = "demo-1.0-py3-none-any.whl"
GOOD = fetcher.make_wheel("demo", "1.0")
EVIL = fetcher.make_wheel("demo", "1.0", padding=2)


def is_clean(world: World) -> bool:
    """Whether nothing was kept."""
    folders = ("wheels", "metadata", "archives", "fetching")
    return not any(fetcher.files_under(world.cache / name) for name in folders)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(EVIL), REFUSED),  # another sum
        (Reply(b""), REFUSED),
        (Reply(GOOD + b"x"), REFUSED),
        (Reply(GOOD[:-1]), REFUSED),
        (Reply(GOOD[:-1], length=len(GOOD)), FAILED),  # cut off
        (Reply(GOOD, headers={"Content-Encoding": "gzip"}), OK),  # what counts is the sum
        (Reply(GOOD, status=500), FAILED),
        (Reply(GOOD, status=206, headers={"Content-Range": "bytes 0-9/10"}), FAILED),
        (Reply(GOOD, status=404), MISSING),
    ],
)
def test_body_that_is_not_the_wheel(world: World, reply: Reply, status: int) -> None:
    index = world.server()
    index.page("demo", index.file(NAME, GOOD))
    index.replies[f"/files/{NAME}"] = reply
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(GOOD)).status == status
        assert program.get(METADATA, sha256(GOOD)).status == status
    assert is_clean(world) or status == OK


@pytest.mark.parametrize("size", [len(GOOD) - 1, 1, len(GOOD) + 10**6])
def test_size_that_is_a_lie(world: World, size: int) -> None:
    index = world.server()
    index.page("demo", index.file(NAME, GOOD, size=size))
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        program.get(PAGE, "demo")
        # One that is too small is a cap; one that is too large harms nobody: the sum decides.
        assert program.get(WHEEL, sha256(GOOD)).status == (OK if size > len(GOOD) else REFUSED)
    assert is_clean(world) or size > len(GOOD)


def test_mirror_that_sends_something_else(world: World) -> None:
    mirror = world.server()
    mirror.replies[f"/{NAME}"] = Reply(EVIL)
    config = [(CONFIG_MIRROR, mirror.address), (CONFIG_LOCK, str(world.lock({NAME: GOOD})))]
    with world.fetcher(*config) as program:
        answer = program.get(WHEEL, sha256(GOOD))
    assert (answer.status, sha256(EVIL) in answer.text) == (MISSING, True)
    assert is_clean(world)


@pytest.mark.parametrize("change", ["end", "directory", "member", "name", "short"])
def test_carrier_that_is_forged(world: World, change: str) -> None:
    server = world.server()
    carrier = bytearray(fetcher.make_carrier("in", {NAME: GOOD}))
    name = "carrier-2.0-py3-none-any.whl"
    total = sha256(bytes(carrier))
    end = carrier.rindex(b"PK\5\6")
    directory = int.from_bytes(carrier[end + 16 : end + 20], "little")
    member = carrier.index(b"in/" + NAME.encode()) - 30
    match change:
        case "end":
            carrier[end + 12 : end + 16] = b"\xff\xff\xff\x7f"
        case "directory":
            carrier[directory : directory + 4] = b"junk"
        case "member":
            carrier[member + 100] ^= 0xFF
        case "name":
            carrier[member + 30 : member + 33] = b"../"
        case "short":
            del carrier[end + 10 :]
    entry = server.file(name, bytes(carrier))
    server.page("carrier", {**entry, "hashes": {"sha256": total}})
    config = [(CONFIG_MIRROR, f"index:carrier==2.0/{name}#{total}/in")]
    config += [(CONFIG_LOCK, str(world.lock({NAME: GOOD})))]
    with world.fetcher(*config, (CONFIG_INDEX, f"{server.address}/simple")) as program:
        assert program.get(WHEEL, sha256(GOOD)).status == MISSING
        assert program.get(PAGE, "carrier").status == OK
    assert is_clean(world)


def test_neither_source_distributions_nor_native_wheels_are_offered(world: World) -> None:
    index = world.server()
    names = ["demo-1.0.tar.gz", "demo-1.0.zip", "demo-1.0-cp314-cp314-win_amd64.whl"]
    names += ["demo-1.0-cp314-cp314-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"]
    names += [
        "demo-1.0-cp314-cp314-macosx_11_0_arm64.whl",
        "demo-1.0.exe",
        "other-1.0-py3-none-any.whl",
    ]
    names += ["../demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl/x", "demo.whl"]
    index.page("demo", *[index.file(name, name.encode()) for name in names])
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        page = program.get(PAGE, "demo").page
        assert page["files"] == []
        assert page["left_out"] == {"sdist": 2, "native": 3, "no_hash": 0, "too_new": 0, "other": 5}
        for name in names:
            assert program.get(WHEEL, sha256(name.encode())).status == REFUSED
    assert index.paths() == ["/simple/demo/"]
