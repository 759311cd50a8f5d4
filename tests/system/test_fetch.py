"""vitrine-fetch, the real program, against real servers with TLS."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fetcher
import pytest
from fetcher import FAILED, MISSING, OFFLINE, OK, REFUSED, Reply, World, files_under, sha256

PAGE, METADATA, WHEEL = fetcher.PAGE, fetcher.METADATA, fetcher.WHEEL
INDEX, LOCK, MIRROR = fetcher.CONFIG_INDEX, fetcher.CONFIG_LOCK, fetcher.CONFIG_MIRROR
DEMO = fetcher.make_wheel("demo", "1.0")
DEMO_NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetcher.make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def world(tmp_path: Path, certificate: Path) -> Iterator[World]:
    yield from fetcher.worlds(tmp_path, certificate)


def test_page_wheel_and_metadata_of_a_json_index(world: World) -> None:
    server = world.server()
    entry = server.file(
        DEMO_NAME,
        DEMO,
        size=len(DEMO),
        yanked="broken",
        **{"requires-python": ">=3.9", "upload-time": "2026-01-02T03:04:05.678Z"},
    )
    server.page("demo", entry)
    with world.fetcher((INDEX, f"{server.address}/simple/")) as program:
        assert program.get(PAGE, "Demo").page == {
            "meta": {"api-version": "1.1"},
            "name": "demo",
            "index": 0,
            "left_out": {"sdist": 0, "native": 0, "no_hash": 0, "too_new": 0, "other": 0},
            "files": [
                {
                    "filename": DEMO_NAME,
                    "url": f"{sha256(DEMO)}/{DEMO_NAME}",
                    "hashes": {"sha256": sha256(DEMO)},
                    "core-metadata": True,
                    "requires-python": ">=3.9",
                    "upload-time": "2026-01-02T03:04:05.678Z",
                    "size": len(DEMO),
                    "yanked": "broken",
                }
            ],
        }
        answer = program.get(METADATA, sha256(DEMO))
        assert (answer.status, b"\nName: demo\n" in answer.body) == (OK, True)
        answer = program.get(WHEEL, sha256(DEMO).upper())
        assert answer.status == OK
        assert Path(answer.text) == world.cache / "wheels" / sha256(DEMO) / DEMO_NAME
        assert Path(answer.text).read_bytes() == DEMO
    assert server.paths() == ["/simple/demo/", f"/files/{DEMO_NAME}"]
    accept = server.asked[0][1]["accept"]
    assert accept.index("v1+json") < accept.index("v1+html") < accept.index("text/html")
    lines = [line for _, level, line in program.logs if level > 0]
    assert [line.split(" in ")[0] for line in lines] == [
        f"fetching {DEMO_NAME} (1 kB)",
        f"fetched {DEMO_NAME} (1 kB)",
    ]


def test_page_of_an_html_index(world: World) -> None:
    server = world.server()
    server.replies["/packages/demo.whl/" + DEMO_NAME] = Reply(DEMO)
    server.html(
        "demo",
        f"""<!DOCTYPE html><html><head><title>Links <a href="no.whl"></title>
        <meta name="pypi:repository-version" content="1.0"></head><body><!-- <a href="x"> -->
        <a href="../../packages/demo.whl/{DEMO_NAME}#sha256={sha256(DEMO)}"
           data-requires-python="&gt;=3.9,&#60;4" data-yanked="">{DEMO_NAME}</a><br/>
        <A HREF='/packages/demo-0.9.tar.gz#sha256={"0" * 64}'>demo</A>
        <a href="/packages/demo-0.8-py3-none-any.whl#md5=abc">demo</a>
        <a href="http://localhost/demo-0.7-py3-none-any.whl#sha256={"1" * 64}">demo</a>
        <a href="demo-0.6-cp314-cp314-manylinux_2_17_x86_64.whl#sha256={"2" * 64}">demo</a>
        </body></html>""",
    )
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        page = program.get(PAGE, "demo").page
        assert page["left_out"] == {"sdist": 1, "native": 1, "no_hash": 1, "too_new": 0, "other": 1}
        assert [file["filename"] for file in page["files"]] == [DEMO_NAME]
        assert page["files"][0]["requires-python"] == ">=3.9,<4"
        assert page["files"][0]["yanked"] is True
        assert program.get(WHEEL, sha256(DEMO)).status == OK


def test_metadata_file_of_the_index_is_used_and_checked(world: World) -> None:
    server = world.server()
    text = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nX-From: index\n"
    entry = server.file(DEMO_NAME, DEMO, **{"core-metadata": {"sha256": sha256(text)}})
    server.replies[f"/files/{DEMO_NAME}.metadata"] = Reply(text)
    other = fetcher.make_wheel("demo", "2.0")
    wrong = server.file(
        "demo-2.0-py3-none-any.whl", other, **{"core-metadata": {"sha256": sha256(text)}}
    )
    server.replies["/files/demo-2.0-py3-none-any.whl.metadata"] = Reply(text + b"X: y\n")
    server.page("demo", entry, wrong)
    config = (INDEX, f"{server.address}/simple")
    with world.fetcher(config) as program:
        program.get(PAGE, "demo")
        assert program.get(METADATA, sha256(DEMO)).body == text
        assert f"/files/{DEMO_NAME}" not in server.paths()
        # A METADATA file with another sum is not believed: the wheel says it.
        assert b"Version: 2.0" in program.get(METADATA, sha256(other)).body
        assert any("another SHA-256" in line for _, _, line in program.logs)
    asked = len(server.asked)
    with world.fetcher(config, (fetcher.CONFIG_OFFLINE, 1)) as program:
        program.get(PAGE, "demo")
        assert program.get(METADATA, sha256(DEMO)).body == text
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    "name",
    ["", "../../x", "a b", "-r", "--index-url=x", "demo@https://x", "dem\0o", "démo", "x" * 500]
    + ["demo/", "demo?x", "demo#", "_demo", "demo.", "http://x", "a\nb"],
)
def test_names_that_no_project_can_have_are_refused(world: World, name: str) -> None:
    server = world.server()
    with world.fetcher((INDEX, server.address)) as program:
        assert program.get(PAGE, name).status == REFUSED
        assert program.get(WHEEL, name).status == REFUSED
        assert program.get(METADATA, name).status == REFUSED
    assert server.asked == []


def test_sums_that_nothing_has_named_are_refused(world: World) -> None:
    server = world.server()
    server.file(DEMO_NAME, DEMO)
    with world.fetcher((INDEX, server.address)) as program:
        assert program.get(WHEEL, sha256(DEMO)).status == REFUSED
        assert program.get(METADATA, sha256(DEMO)).status == REFUSED
    assert server.asked == []


def test_a_page_is_asked_for_once_then_revalidated(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO), ETag='"v1"', **{"Cache-Control": "max-age=0"})
    config = (INDEX, f"{server.address}/simple")
    with world.fetcher(config) as program:
        first = program.get(PAGE, "demo")
        server.replies["/simple/demo/"] = Reply(status=304)
        assert program.get(PAGE, "demo") == first
    assert [headers.get("if-none-match") for _, headers in server.asked] == [None, '"v1"']
    server.page("lasting", **{"Cache-Control": "public, max-age=600"})
    with world.fetcher(config) as program:
        program.get(PAGE, "lasting")
        program.get(PAGE, "lasting")
    with world.fetcher(config) as program:
        assert program.get(PAGE, "lasting").status == OK
    assert server.paths().count("/simple/lasting/") == 1


def test_exclude_newer_leaves_out_what_is_younger_or_of_unknown_age(world: World) -> None:
    server = world.server()
    times = {
        "1.0": "2026-01-01T00:00:00Z",
        "1.1": "2026-01-02T01:00:00+02:00",
        "1.2": "2026-01-02T00:00:01Z",
        "1.3": "soon",
    }
    files = [
        server.file(f"demo-{version}-py3-none-any.whl", version.encode(), **{"upload-time": time})
        for version, time in times.items()
    ]
    files.append(server.file("demo-1.4-py3-none-any.whl", b"1.4"))
    server.page("demo", *files)
    exclude = (fetcher.CONFIG_EXCLUDE_NEWER, "2026-01-02T00:00:00Z")
    with world.fetcher((INDEX, f"{server.address}/simple"), exclude) as program:
        page = program.get(PAGE, "demo").page
        assert [file["filename"].split("-")[1] for file in page["files"]] == ["1.0", "1.1"]
        assert page["left_out"]["too_new"] == 3
        assert program.get(WHEEL, sha256(b"1.2")).status == REFUSED


def test_what_is_missing_names_everybody_who_was_asked(world: World) -> None:
    server, second = world.server(), world.server()
    config = [(INDEX, f"{server.address}/simple"), (INDEX, f"{second.address}/simple")]
    config += [(LOCK, str(world.lock({DEMO_NAME: DEMO}))), (MIRROR, str(world.folder))]
    config += [(MIRROR, f"{server.address}/mirror/")]
    with world.fetcher(*config) as program:
        answer = program.get(PAGE, "nothing")
        assert answer.status == MISSING
        assert server.address in answer.text
        assert second.address in answer.text
        answer = program.get(WHEEL, sha256(DEMO))
        assert answer.status == MISSING
        for part in (DEMO_NAME, sha256(DEMO), str(world.folder), f"{server.address}/mirror"):
            assert part in answer.text


def test_an_index_that_fails_is_not_passed_over(world: World) -> None:
    broken, second = world.server(), world.server()
    broken.replies["/simple/demo/"] = Reply(status=503)
    second.page("demo", second.file(DEMO_NAME, DEMO))
    config = [(INDEX, f"{server.address}/simple") for server in (broken, second)]
    with world.fetcher(*config) as program:
        answer = program.get(PAGE, "demo")
        assert (answer.status, "503" in answer.text) == (FAILED, True)
    assert broken.paths() == ["/simple/demo/"] * 2
    assert second.asked == []


def test_a_connection_that_breaks_is_tried_once_more(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO))
    good = server.replies[f"/files/{DEMO_NAME}"]
    replies = [Reply(DEMO[:100], length=len(DEMO)), good]
    server.replies[f"/files/{DEMO_NAME}"] = lambda: replies.pop(0)
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(DEMO)).status == OK
    assert replies == []


def test_two_questions_for_one_thing_are_one_download(world: World) -> None:
    server = world.server()
    gate = threading.Event()

    def wait() -> Reply:
        gate.wait(10)
        return Reply(DEMO)

    server.page("demo", server.file(DEMO_NAME, DEMO))
    server.replies[f"/files/{DEMO_NAME}"] = wait
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        pages = [program.ask(PAGE, "demo") for _ in range(20)]
        assert {program.wait(number).status for number in pages} == {OK}
        wheels = [program.ask(WHEEL, sha256(DEMO)) for _ in range(20)]
        wheels += [program.ask(METADATA, sha256(DEMO)) for _ in range(20)]
        gate.set()
        assert {program.wait(number).status for number in wheels} == {OK}
    assert server.paths() == ["/simple/demo/", f"/files/{DEMO_NAME}"]


def test_names_behind_the_first_are_fetched_ahead(world: World) -> None:
    server = world.server()
    names = [f"p{number}" for number in range(30)]
    for name in names:
        server.page(name)
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        assert program.wait(program.ask(PAGE, *names)).status == OK
        deadline = time.monotonic() + 10
        while len(server.asked) < len(names) and time.monotonic() < deadline:
            time.sleep(0.01)
        for name in names:
            assert program.get(PAGE, name).status == OK
    assert sorted(server.paths()) == sorted(f"/simple/{name}/" for name in names)


def test_a_question_can_be_taken_back(world: World) -> None:
    server = world.server()
    gone = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                time.sleep(0.01)
        finally:
            gone.set()

    server.page("demo", server.file(DEMO_NAME, DEMO))
    server.replies[f"/files/{DEMO_NAME}"] = lambda: Reply(endless())
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        program.get(PAGE, "demo")
        number = program.ask(WHEEL, sha256(DEMO))
        while f"/files/{DEMO_NAME}" not in server.paths():
            time.sleep(0.01)
        program.send(fetcher.CANCEL, number.to_bytes(4, "little"))
        # The server has told no size, so the wheel is not cut off by it: only the cancel ends it.
        assert gone.wait(10)
        assert program.get(PAGE, "demo").status == OK
        assert files_under(world.cache / "fetching") == []


def test_mirrors_in_order_a_folder_then_an_address(world: World) -> None:
    server = world.server()
    wheels = {f"w{n}-1.0-py3-none-any.whl": fetcher.make_wheel(f"w{n}", "1.0") for n in range(3)}
    names = list(wheels)
    folder = world.folder / "mirror"
    folder.mkdir()
    (folder / names[0]).write_bytes(wheels[names[0]])
    (folder / names[1]).write_bytes(b"something else")
    for name in names:
        server.replies[f"/mirror/{name}"] = Reply(wheels[name])
    config = [(LOCK, str(world.lock(wheels))), (MIRROR, str(folder))]
    config += [(MIRROR, f"{server.address}/mirror/")]
    with world.fetcher(*config) as program:
        for name, content in wheels.items():
            path = Path(program.get(WHEEL, sha256(content)).text)
            assert (path.name, path.read_bytes()) == (name, content)
        assert b"Name: w2" in program.get(METADATA, sha256(wheels[names[2]])).body
    assert server.paths() == [f"/mirror/{name}" for name in names[1:]]


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wheel_that_carries_wheels(world: World, has_ranges: bool, method: int) -> None:
    server = world.server(has_ranges)
    wheels = {
        f"w{n}-1.0-py3-none-any.whl": fetcher.make_wheel(f"w{n}", "1.0", padding=200_000)
        for n in range(3)
    }
    wrong = {"w3-1.0-py3-none-any.whl": fetcher.make_wheel("w3", "1.0")}
    absent = {"w4-1.0-py3-none-any.whl": fetcher.make_wheel("w4", "1.0")}
    carrier = fetcher.make_carrier(
        "carrier/deep/down", {**wheels, "w3-1.0-py3-none-any.whl": b"not it"}, method
    )
    name = "carrier-2.0-py3-none-any.whl"
    server.page("carrier", server.file(name, carrier))
    mirror = f"index:carrier==2.0/{name}#{sha256(carrier)}/carrier/deep/down"
    config = [(LOCK, str(world.lock({**wheels, **wrong, **absent}))), (MIRROR, mirror)]
    config += [(INDEX, f"{server.address}/simple")]
    with world.fetcher(*config) as program:
        asked = [program.ask(WHEEL, sha256(content)) for content in wheels.values()]
        for number, content in zip(asked, wheels.values(), strict=True):
            assert Path(program.wait(number).text).read_bytes() == content
        answer = program.get(WHEEL, sha256(wrong["w3-1.0-py3-none-any.whl"]))
        assert (answer.status, "another SHA-256" in answer.text) == (MISSING, True)
        answer = program.get(WHEEL, sha256(absent["w4-1.0-py3-none-any.whl"]))
        assert (answer.status, "carries no such wheel" in answer.text) == (MISSING, True)
    ranges = [headers.get("range") for path, headers in server.asked if name in path]
    if has_ranges:
        assert len(ranges) == 2 + 4  # end record, directory, members
        assert files_under(world.cache / "archives") == []
    else:
        assert len(ranges) == 2
        assert ranges[-1] is None
        assert files_under(world.cache / "archives") == [sha256(carrier)]


def test_a_carrier_that_set_up_has_downloaded_is_used_offline(world: World) -> None:
    carrier = fetcher.make_carrier("in", {DEMO_NAME: DEMO})
    name = "carrier-2.0-py3-none-any.whl"
    place = world.cache / "downloads" / sha256(carrier) / name
    place.parent.mkdir(parents=True)
    place.write_bytes(carrier)
    config = [(MIRROR, f"index:carrier==2.0/{name}#{sha256(carrier)}/in")]
    config += [(LOCK, str(world.lock({DEMO_NAME: DEMO}))), (fetcher.CONFIG_OFFLINE, 1)]
    with world.fetcher(*config) as program:
        assert Path(program.get(WHEEL, sha256(DEMO)).text).read_bytes() == DEMO


def test_a_wheel_of_the_lock_file_that_only_the_index_has(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO))
    config = [(LOCK, str(world.lock({DEMO_NAME: DEMO}))), (MIRROR, str(world.folder))]
    with world.fetcher(*config, (INDEX, f"{server.address}/simple")) as program:
        assert program.get(WHEEL, sha256(DEMO)).status == OK


def test_offline_asks_nobody_and_says_what_is_missing(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO))
    other = fetcher.make_wheel("other", "1.0")
    lock = world.lock({"other-1.0-py3-none-any.whl": other})
    config = [(INDEX, f"{server.address}/simple"), (LOCK, str(lock))]
    config += [(MIRROR, f"{server.address}/mirror")]
    with world.fetcher(*config) as program:
        program.get(PAGE, "demo")
        program.get(WHEEL, sha256(DEMO))
    server.asked.clear()
    with world.fetcher(*config, (fetcher.CONFIG_OFFLINE, 1)) as program:
        assert program.get(WHEEL, sha256(DEMO)).status == OK
        assert len(program.get(PAGE, "demo").page["files"]) == 1
        assert program.get(METADATA, sha256(DEMO)).status == OK
        answer = program.get(WHEEL, sha256(other))
        assert (answer.status, "other-1.0-py3-none-any.whl" in answer.text) == (OFFLINE, True)
        answer = program.get(PAGE, "unseen")
        assert (answer.status, "unseen" in answer.text) == (OFFLINE, True)
    assert server.asked == []


def test_the_usual_variables_name_a_proxy(world: World) -> None:
    server = world.server()
    proxy = world.proxy(server.port)
    server.address = "https://index.test"  # known to the proxy alone
    server.page("demo", server.file(DEMO_NAME, DEMO))
    trust = {"SSL_CERT_FILE": str(world.certificate)}
    index = (INDEX, "https://index.test/simple")
    with world.fetcher(index, environment={**trust, "HTTPS_PROXY": proxy.address}) as program:
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(DEMO)).status == OK
    assert set(proxy.targets) == {"index.test:443"}
    proxy.targets.clear()
    environment = {**trust, "HTTPS_PROXY": proxy.address, "NO_PROXY": "x.org, .test"}
    with world.fetcher(index, environment=environment) as program:
        assert program.get(PAGE, "other").status == FAILED
    assert proxy.targets == []
    config = [index, (fetcher.CONFIG_PROXY, proxy.address)]
    with world.fetcher(*config, environment=trust) as program:
        assert program.get(PAGE, "third").status == MISSING
    assert set(proxy.targets) == {"index.test:443"}


def test_certificates_are_checked(world: World, tmp_path: Path) -> None:
    server = world.server()
    server.page("demo")
    index = (INDEX, f"{server.address}/simple")
    with world.fetcher(index, environment={"NONE": ""}) as program:
        answer = program.get(PAGE, "demo")
        assert (answer.status, "certificate" in answer.text) == (FAILED, True)
    config = [index, (fetcher.CONFIG_CERTIFICATES, str(world.certificate))]
    with world.fetcher(*config, environment={"NONE": ""}) as program:
        assert program.get(PAGE, "demo").status == OK


def test_credentials_go_to_their_host_alone_and_are_not_shown(world: World) -> None:
    server, second = world.server(), world.server()
    second.file(DEMO_NAME, DEMO)
    entry = server.file(DEMO_NAME, DEMO)
    server.replies[f"/files/{DEMO_NAME}"] = Reply(
        status=302, headers={"Location": f"{second.address}/files/{DEMO_NAME}"}
    )
    server.page("demo", entry)
    address = server.address.replace("//", "//user:s3cret@")
    config = [(INDEX, f"{address}/simple"), (INDEX, f"{second.address}/simple")]
    with world.fetcher(*config) as program:
        program.get(PAGE, "demo")
        assert program.get(WHEEL, sha256(DEMO)).status == OK
        answer = program.get(PAGE, "absent")
    assert all("authorization" in headers for _, headers in server.asked)
    assert all("authorization" not in headers for _, headers in second.asked)
    said = answer.text + "".join(line for _, _, line in program.logs)
    assert "s3cret" not in said
    assert not any(b"s3cret" in path.read_bytes() for path in world.cache.rglob("*/*/*"))


def test_compressed_pages(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO))
    reply = server.replies["/simple/demo/"]
    reply.body = gzip.compress(reply.body)
    reply.headers["Content-Encoding"] = "gzip"
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        assert len(program.get(PAGE, "demo").page["files"]) == 1


def test_a_page_that_is_none_is_told(world: World) -> None:
    server = world.server()
    bodies = {
        "one": (b"<html>", "text/plain"),
        "two": (b'{"meta": {"api-version": "2.0"}, "files": []}', fetcher.JSON_TYPE),
        "three": (b'{"files": []', fetcher.JSON_TYPE),
        "four": (b'{"meta": {"api-version": "1.0"}, "files": {}}', fetcher.JSON_TYPE),
        "five": (b'{"files": [], "files": [], "meta": {}}', fetcher.JSON_TYPE),
        "six": (b'<meta name="pypi:repository-version" content="2.0">', "text/html"),
    }
    for name, (body, kind) in bodies.items():
        server.replies[f"/simple/{name}/"] = Reply(body, headers={"Content-Type": kind})
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        for name in bodies:
            assert program.get(PAGE, name).status == FAILED


def test_a_bad_configuration_is_told_with_the_last_words(world: World) -> None:
    for config, words in (
        ([(INDEX, "http://localhost/simple")], "https"),
        ([(MIRROR, "relative/folder")], "mirror"),
        ([(MIRROR, "index:a==1/a-1-py3-none-any.whl#12/x")], "mirror"),
        ([(fetcher.CONFIG_EXCLUDE_NEWER, "yesterday")], "exclude-newer"),
        ([(fetcher.CONFIG_OFFLINE, 2)], "bad field"),
        ([(99, "x")], "bad field"),
        ([(LOCK, "/nonexistent")], "/nonexistent"),
    ):
        program = world.fetcher(*config)
        with pytest.raises((AssertionError, ConnectionError)):
            program.wait(1, 10)
        status, said = program.close()
        assert os.waitstatus_to_exitcode(status) == 2
        assert words in said
        assert said.count("\n") == 1


def test_frames_that_break_the_rules_end_it(world: World) -> None:
    for kind, payload in ((17, b""), (fetcher.ASK, b"\1"), (fetcher.CANCEL, b""), (64, b"")):
        program = world.fetcher()
        program.send(kind, payload)
        with pytest.raises((AssertionError, ConnectionError)):
            program.wait(1, 10)
        status, said = program.close()
        assert os.waitstatus_to_exitcode(status) == 1
        assert said.startswith("vitrine-fetch: a ")


def test_what_is_kept_can_be_read_and_not_run(world: World) -> None:
    server = world.server()
    server.page("demo", server.file(DEMO_NAME, DEMO))
    with world.fetcher((INDEX, f"{server.address}/simple")) as program:
        program.get(PAGE, "demo")
        path = Path(program.get(WHEEL, sha256(DEMO)).text)
        limits = Path(f"/proc/{program.pid}/limits").read_text(encoding="utf-8")
        status = Path(f"/proc/{program.pid}/status").read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert "NoNewPrivs:\t1" in status
    assert [line.split()[4] for line in limits.splitlines() if "core file" in line] == ["0"]


def test_killed_in_the_middle_of_a_download(world: World) -> None:
    server = world.server()
    big = fetcher.make_wheel("demo", "1.0", padding=3_000_000)
    server.page("demo", server.file(DEMO_NAME, big))
    whole = server.replies[f"/files/{DEMO_NAME}"]

    def half() -> Iterator[bytes]:
        yield big[: len(big) // 2]
        time.sleep(30)

    server.replies[f"/files/{DEMO_NAME}"] = lambda: Reply(half(), length=len(big))
    config = (INDEX, f"{server.address}/simple")
    program = world.fetcher(config)
    program.get(PAGE, "demo")
    program.ask(WHEEL, sha256(big))
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size for path in (world.cache / "fetching").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(program.pid, signal.SIGKILL)
    program.close()
    assert files_under(world.cache / "wheels") == []
    server.replies[f"/files/{DEMO_NAME}"] = whole
    with world.fetcher(config) as program:
        program.get(PAGE, "demo")
        assert Path(program.get(WHEEL, sha256(big)).text).read_bytes() == big
    assert files_under(world.cache / "fetching") == []


def test_the_page_of_a_carrier_is_not_too_new(world: World) -> None:
    server = world.server()
    carrier = fetcher.make_carrier("in", {DEMO_NAME: DEMO})
    name = "carrier-2.0-py3-none-any.whl"
    entry = server.file(name, carrier, **{"upload-time": "2026-06-01T00:00:00Z"})
    server.page("carrier", entry)
    config = [(MIRROR, f"index:carrier==2.0/{name}#{sha256(carrier)}/in")]
    config += [(LOCK, str(world.lock({DEMO_NAME: DEMO}))), (INDEX, f"{server.address}/simple")]
    config += [(fetcher.CONFIG_EXCLUDE_NEWER, "2020-01-01")]
    with world.fetcher(*config) as program:
        assert program.get(WHEEL, sha256(DEMO)).status == OK
        assert json.loads(program.get(PAGE, "carrier").body)["files"] == []
