"""Attack 39, the index: a higher version of a private project on a second, public index.

Expected: the first index that has the project is the only one for it, whatever happens to it later;
an index that cannot be asked is never passed over.
"""

from __future__ import annotations

import fetcher
from fetcher import CONFIG_INDEX, FAILED, MISSING, OK, PAGE, REFUSED, WHEEL, Reply, World, sha256

PRIVATE = fetcher.make_wheel("demo", "1.0")
PUBLIC = fetcher.make_wheel("demo", "99.0")


def test_one_index_for_a_name(world: World) -> None:
    private, public = world.server(), world.server()
    private.page("demo", private.file("demo-1.0-py3-none-any.whl", PRIVATE))
    public.page("demo", public.file("demo-99.0-py3-none-any.whl", PUBLIC))
    public.page("other", public.file("other-1.0-py3-none-any.whl", b"other"))
    config = [(CONFIG_INDEX, f"{server.address}/simple") for server in (private, public)]
    with world.fetcher(*config) as program:
        page = program.get(PAGE, "demo").page
        assert page["index"] == 0
        assert [file["filename"] for file in page["files"]] == ["demo-1.0-py3-none-any.whl"]
        assert program.get(WHEEL, sha256(PUBLIC)).status == REFUSED
        assert program.get(WHEEL, sha256(PRIVATE)).status == OK
        page = program.get(PAGE, "other").page
        assert page["index"] == 1
    assert public.paths() == ["/simple/other/"]


def test_an_empty_page_is_a_page(world: World) -> None:
    private, public = world.server(), world.server()
    private.page("demo")
    public.page("demo", public.file("demo-99.0-py3-none-any.whl", PUBLIC))
    config = [(CONFIG_INDEX, f"{server.address}/simple") for server in (private, public)]
    with world.fetcher(*config) as program:
        assert program.get(PAGE, "demo").page["files"] == []
    assert public.asked == []


def test_no_failure_of_the_first_index_leads_to_the_second(world: World) -> None:
    private, public = world.server(), world.server()
    config = [(CONFIG_INDEX, f"{server.address}/simple") for server in (private, public)]
    failures = {
        "a": Reply(status=500),
        "b": Reply(status=403),
        "c": Reply(status=401),
        "d": Reply(b"{", headers={"Content-Type": fetcher.JSON_TYPE}),
        "e": Reply(b"x", headers={"Content-Type": "text/plain"}),
        "f": Reply(b"x", length=10),
        "g": Reply(status=302, headers={"Location": "http://localhost/"}),
        "h": Reply(status=429),
    }
    for name, reply in failures.items():
        private.replies[f"/simple/{name}/"] = reply
        public.page(name, public.file(f"{name}-99.0-py3-none-any.whl", PUBLIC))
    with world.fetcher(*config) as program:
        for name in failures:
            assert program.get(PAGE, name).status in (FAILED, REFUSED), name
        assert program.get(PAGE, "nowhere").status == MISSING
    assert public.paths() == ["/simple/nowhere/"]
    private.close()
    with world.fetcher(*config) as program:
        assert program.get(PAGE, "a").status == FAILED
    assert public.paths() == ["/simple/nowhere/"]


def test_a_page_that_lists_another_project(world: World) -> None:
    index = world.server()
    index.page("demo", index.file("victim-9.9-py3-none-any.whl", PUBLIC))
    with world.fetcher((CONFIG_INDEX, f"{index.address}/simple")) as program:
        page = program.get(PAGE, "demo").page
        assert (page["files"], page["left_out"]["other"]) == ([], 1)
        assert program.get(WHEEL, sha256(PUBLIC)).status == REFUSED
