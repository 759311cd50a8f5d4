"""Requirements: what is one, what is refused and why, and PEP 723 blocks."""

import re

import pytest
from records import ROOT

from vitrine import requirements

LIMITS = (ROOT / "src/base/limits.h").read_text()


def test_the_limits_are_those_of_the_header() -> None:
    found = dict(re.findall(r"#define LIMIT_(REQUIREMENT\w+)\s+(\d+)U", LIMITS))
    assert int(found["REQUIREMENTS_MAX"]) == requirements.COUNT_MAX
    assert int(found["REQUIREMENT_BYTES_MAX"]) == requirements.BYTES_MAX


@pytest.mark.parametrize(
    "text, expected",
    [
        ("numpy", "numpy"),
        ("  Num_Py  ", "num-py"),
        ("numpy>=2, <3", "numpy<3,>=2"),
        ("numpy (>=2)", "numpy>=2"),
        ("rich[Jupyter , b_c]>=1", "rich[b-c,jupyter]>=1"),
        ("rich[]", "rich"),
        ("a==1.*", "a==1.*"),
        ("a!=1.2.*,~=1.0", "a!=1.2.*,~=1.0"),
        ("a==1!2.0rc1.post2.dev3+local.7", "a==1!2.0rc1.post2.dev3+local.7"),
        ("a===1.0", "a===1.0"),
        ("a; python_version<'3.15'", "a; python_version<'3.15'"),
        (
            "a>1 ; (os_name=='a' or  'x' not in extra) and sys_platform!='b'",
            "a>1; (os_name=='a' or 'x' not in extra) and sys_platform!='b'",
        ),
    ],
)
def test_a_requirement(text: str, expected: str) -> None:
    assert requirements.check(text) == expected
    assert requirements.check(expected) == expected


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("x @ http://a.example/x.whl", "an address"),
        ("x@https://a.example/x.whl", "an address"),
        ("https://a.example/x.whl", "an address"),
        ("git+ssh://a.example/x", "an address"),
        ("x @ file:///etc/passwd", "an address"),
        ("-r /etc/passwd", "an option"),
        ("--index-url=https://a.example", "an option"),
        ("-e .", "an option"),
        ("../../x", "a path"),
        ("./x", "a path"),
        (".", "a path"),
        ("/etc/passwd", "a path"),
        ("a\\b", "a path"),
        ("x\n--index-url=https://a.example", "control characters"),
        ("x\0", "control characters"),
        ("x\u2028y", "control characters"),
        ("x --hash=sha256:00", "no version clause"),
        ("x y", "no version clause"),
        ("x>=", "no version clause"),
        ("x>=1,,<2", "no version clause"),
        ("x>=1.*", "no version clause"),
        ("x==1 2", "no version clause"),
        ("x~=1", "two parts"),
        ("numpy==2.0é", "no version clause"),
        ("é", "begin with the name"),
        ("x[", "no version clause"),
        ("x[a,]", "no version clause"),
        ("x; ", "no marker"),
        ("x; os_name", "no marker"),
        ("x; os_name=='a' and", "no marker"),
        ("x; (os_name=='a'", "no marker"),
        ("x; os_name=='a')", "no marker"),
        ("x; __import__('os')", "no marker"),
        ("x; " + "(" * 500 + "os_name", "no marker"),
        ("x" * 2000, "longer than 1024 bytes"),
        ("é" * 600, "longer than 1024 bytes"),
    ],
)
def test_a_refusal(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        requirements.check(text)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 1000


def test_many() -> None:
    assert requirements.check_all(["b", "A", "a", "B>1"]) == ["a", "b", "b>1"]
    with pytest.raises(ValueError, match="at most 256"):
        requirements.check_all(["a"] * 257)


@pytest.mark.parametrize(
    "specifier, version, fits",
    [
        ("", "3.14.2", True),
        (">=3.12", "3.14.2", True),
        (">=3.14", "3.14.0", True),
        (">=3.15", "3.14.2", False),
        (">=3.14,<3.15", "3.14.2", True),
        (">3.14", "3.14.2", True),
        ("<3.14", "3.14.2", False),
        ("==3.14.*", "3.14.2", True),
        ("==3.1.*", "3.14.2", False),
        ("!=3.14.*", "3.14.2", False),
        ("==3.14", "3.14.0", True),
        ("==3.14", "3.14.2", False),
        ("~=3.14", "3.15.0", True),
        ("~=3.14.1", "3.15.0", False),
        ("~=3.14.1", "3.14.0", False),
        (">=3.14.0rc1", "3.14.0", True),
        ("<=3.14.0rc1", "3.14.0", False),
        (">=3.14.0.post1", "3.14.0", False),
        (">=1!1", "3.14.0", False),
        ("<3.14.0.dev1", "3.14.0", False),
    ],
)
def test_versions_of_python(specifier: str, version: str, fits: bool) -> None:
    assert requirements.is_compatible(specifier, version) is fits


def block(*lines: str) -> bytes:
    """Write a PEP 723 block, after a line of something else."""
    body = "\n".join(f"# {line}" if line else "#" for line in lines)
    return f"'''\n# /// script\n{body}\n# ///\n'''\n".encode()


def test_a_block() -> None:
    source = block("requires-python = '>=3.12'", "", "dependencies = [", "  'B>1',", "  'a',", "]")
    found = requirements.read_block(source, "main.py")
    assert (found.dependencies, found.requires_python) == (["a", "b>1"], ">=3.12")
    found = requirements.read_block(source.replace(b"\n", b"\r\n"), "main.py")
    assert found.dependencies == ["a", "b>1"]
    found = requirements.read_block(block("[tool.x]", "y = 1"), "main.py")
    assert found.dependencies is None


@pytest.mark.parametrize(
    "source",
    [b"", b"# /// script\n", b"# /// script\nx\n# ///", b"# /// pyproject\n# a = 1\n# ///\n"],
)
def test_no_block(source: bytes) -> None:
    assert requirements.read_block(source, "main.py") is None


@pytest.mark.parametrize(
    "source, message",
    [
        (block("dependencies = [a]"), "Invalid value"),
        (block("dependencies = 'a'"), "must be a list"),
        (block("dependencies = [1]"), "must be a list"),
        (block("dependencies = ['x @ http://a.example']"), "an address"),
        (block("dependencies = ['-r /etc/passwd']"), "an option"),
        (block("requires-python = 3"), "must be a text"),
        (block("requires-python = 'three'"), "no version clause"),
        (block("a = 1") + block("a = 1"), "more than one"),
        (block("a = " + "[" * 10000), "script metadata"),
    ],
)
def test_a_bad_block(source: bytes, message: str) -> None:
    with pytest.raises(SyntaxError, match=message) as caught:
        requirements.read_block(source, "main.py")
    assert "PEP 723" in str(caught.value)
    assert caught.value.filename == "main.py"
    assert caught.value.lineno in (2, 3)
