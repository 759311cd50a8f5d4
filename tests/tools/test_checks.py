"""The checks find what they are for, and the sum of the tests counts what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_docs
import check_includes
import check_sizes
import run_tests


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty src/ in place of the real one."""
    monkeypatch.setattr(check_includes, "SOURCE", tmp_path / "src")
    return tmp_path / "src"


@pytest.mark.parametrize(
    ("path", "line", "is_right"),
    [
        ("pool/pool.c", '#include "pool/pool.h"', True),
        ("pool/pool.c", '#include "base/err.h"', True),
        ("pool/pool.c", '#include "wire/wire.h"', True),
        ("pool/pool.c", "#include <stdio.h>", True),
        ("pool/pool.c", '#include "cell/cell.h"', False),
        ("pool/pool.c", '#include "guest/guest.h"', False),
        ("base/err.c", '#include "pool/pool.h"', False),
        ("guest/abi/time.c", '#include "guest/vfs/vfs.h"', True),
        ("guest/vfs/vfs.c", '#include "guest/guest.h"', False),
        ("cell/main.c", '#include "guest/guest.h"', True),
        ("cell/main.c", '#include "guest/state.h"', False),
        ("result/json.c", '#include "pool/outcome.h"', True),
        ("result/json.c", '#include "pool/state.h"', False),
        ("engine/engine.c", "#include <wasmtime_c.h>", True),
        ("guest/boot.c", "#include <wasmtime_c.h>", False),
        ("guest/boot.c", '#  include "wasmtime_c.h"', False),
        ("guest/boot.c", '#include "state.h"', False),
        ("novel/thing.c", '#include "base/err.h"', False),
    ],
)
def test_includes(source: Path, path: str, line: str, is_right: bool) -> None:
    """One include in one file."""
    file = source / path
    file.parent.mkdir(parents=True)
    file.write_text(f"{line}\n")
    assert (check_includes.problems_in(file) == []) is is_right


def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of 70 lines is right, one of 71 is not; so with a file of 800 lines."""
    monkeypatch.setattr(check_sizes, "REPOSITORY", tmp_path)
    source = tmp_path / "a.c"
    start = "static int f(int a,\n             int b)\n{\n"
    for lines, problems in ((68, 0), (69, 1)):
        source.write_text(start + "    a++;\n" * lines + "}\n")
        found = check_sizes.problems_in(source)
        assert len(found) == problems
    assert "a.c:2: int b): 71 lines" in found[0]
    source.write_text("int a;\n" * 801)
    assert len(check_sizes.problems_in(source)) == 1
    test = tmp_path / "tests" / "unit" / "test_a.c"
    test.parent.mkdir(parents=True)
    test.write_text(start + "    a++;\n" * 90 + "}\n")
    assert check_sizes.problems_in(test) == []
    script = tmp_path / "a.py"
    script.write_text("def f():\n" + "    pass\n" * 70)
    assert len(check_sizes.problems_in(script)) == 1


def test_limits_page() -> None:
    """Values are worked out, comments kept, and groups come with their titles."""
    header = (
        "#define KIB (1024ULL)\n#define MIB (1024ULL * KIB)\n\n/* One run:\n * its caps. */\n"
        "#define LIMIT_A_BYTES (4 * MIB - 64 * KIB) /* why */\n#define LIMIT_B 70000U\n\n"
        "/* More. */\n#define LIMIT_C_MS   (LIMIT_B / 2)\n#define LIMIT_D_BYTES (2 << 20)\n"
    )
    page = check_docs.limits_page(header)
    assert "| `LIMIT_A_BYTES` | 4,032 KiB | why |\n| `LIMIT_B` | 70,000 |  |\n" in page
    assert "| `LIMIT_C_MS` | 35,000 ms |  |\n| `LIMIT_D_BYTES` | 2 MiB |  |\n" in page
    assert "## One run: its caps\n" in page


def test_limits_page_refuses_what_is_no_constant() -> None:
    """Only arithmetic is worked out."""
    with pytest.raises(ValueError, match="not a constant"):
        check_docs.limits_page("/* One. */\n#define LIMIT_A sizeof (int)\n")


def test_dead_links(tmp_path: Path) -> None:
    """A relative link must lead to a file; others are not followed."""
    (tmp_path / "there.md").write_text("")
    text = "[a](there.md) [b](there.md#part) [c](https://example.org/x) [d](absent.md) [e](#here)"
    assert check_docs.dead_links(tmp_path / "page.md", text) == ["absent.md"]


def test_sum_counts_failures_errors_and_skips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The closing line is over all reports, and a skipped test is not a passed one."""
    (tmp_path / "a.xml").write_text(
        "<testsuites><testsuite><testcase/><testcase><failure/></testcase></testsuite>"
        "<testsuite><testcase/></testsuite></testsuites>"
    )
    (tmp_path / "b.xml").write_text(
        "<testsuite><testcase><error/></testcase><testcase><skipped/></testcase></testsuite>"
    )
    assert run_tests.summarize(tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 3 failed"


def test_suite_without_a_report_is_a_failure(tmp_path: Path) -> None:
    """A suite that died counts."""
    run_tests.write_failure(tmp_path / "a.xml", "a", "it died")
    assert run_tests.count(tmp_path / "a.xml") == (0, 1)


def test_no_tests_is_no_success(tmp_path: Path) -> None:
    """Nothing ran: that is not what a green light means."""
    assert run_tests.summarize(tmp_path) == 1


def test_the_jail_s_parts_are_compared() -> None:
    """A page that gives one part to another level differs from the source."""
    parts = check_docs.jail_parts(check_docs.REPOSITORY / "src")
    page = (check_docs.REPOSITORY / "docs" / "THREAT_MODEL.md").read_text(encoding="utf-8")
    assert ("pid namespace", True, False) in parts
    assert ("system call filter", True, True) in parts
    assert ("UTS namespace", False, False) in parts
    assert check_docs.jail_rows(page) == parts
    changed = page.replace("| pid namespace | yes | |", "| pid namespace | yes | yes |")
    assert check_docs.jail_rows(changed) != parts
