"""Requirements as text: PEP 723 blocks, PEP 508 requirements, PEP 440 versions for requires-python.

Imported only for a program that states what it depends on. Whatever is let through here is given to
pip, so this grammar is narrower than pip's: a name, extras, versions, a marker. Addresses, paths
and options are refused.
"""

import re

from vitrine import BUILTINS, execute

__builtins__ = BUILTINS

COUNT_MAX = 256  # limits.h, LIMIT_REQUIREMENTS_MAX
BYTES_MAX = 1024  # limits.h, LIMIT_REQUIREMENT_BYTES_MAX

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = (
    r"v?(?:(?P<epoch>\d{1,9})!)?(?P<release>\d{1,9}(?:\.\d{1,9})*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d{0,9}))?"
    r"(?:-(?P<post_n>\d{1,9})|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_m>\d{0,9}))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d{0,9}))?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?"
)
_BLOCK = re.compile(
    r"^# /// script$\s(?P<body>(?:^#(?:| .*)$\s)+)^# ///$", re.MULTILINE
)  # PEP 723's, for the one kind that it defines
_REQUIREMENT = re.compile(
    rf"\s*(?P<name>{_NAME})\s*"
    rf"(?:\[\s*(?P<extras>(?:{_NAME}(?:\s*,\s*{_NAME})*)?)\s*\]\s*)?"
    r"(?P<versions>[^;]*)(?:;(?P<marker>.*))?",
    re.ASCII,
)
_CLAUSE = re.compile(
    rf"(?P<operator>~=|===|==|!=|<=|>=|<|>)\s*(?P<version>{_VERSION})(?P<any>\.\*)?",
    re.ASCII | re.IGNORECASE,
)
_MARKER_TOKEN = re.compile(
    r"\s*(?:(?P<operand>'[^']*'|\"[^\"]*\"|\b(?:python_version|python_full_version|os_name|"
    r"sys_platform|platform_release|platform_system|platform_version|platform_machine|"
    r"platform_python_implementation|implementation_name|implementation_version|extra)\b)"
    r"|(?P<operator><=|<|!=|===|==|>=|>|~=|\bnot\s+in\b|\bin\b)"
    r"|(?P<joint>\b(?:and|or)\b)|(?P<open>\()|(?P<close>\)))",
    re.ASCII,
)
_PHASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_LAST = 1 << 40  # comes after every number of a version

# What may follow what in a marker; a comparison is three tokens.
_MARKER_NEXT = {
    "start": ("operand", "open"),
    "open": ("operand", "open"),
    "joint": ("operand", "open"),
    "left": ("operator",),
    "operator": ("operand",),
    "right": ("joint", "close"),
    "close": ("joint", "close"),
}


class Block:
    """What a PEP 723 block says; ``dependencies`` is None where it says nothing of them."""

    def __init__(self) -> None:
        self.dependencies: list[str] | None = None
        self.requires_python = ""


def normalize_name(name: str) -> str:
    """Spell a project's name as indexes do (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """Give the normalized name in a requirement that has been checked."""
    return normalize_name(re.match(_NAME, requirement, re.ASCII).group())


def check(text: str) -> str:
    """Check one requirement; returns it in its shortest spelling, or raises ValueError."""
    if reason := _refusal(text):
        raise ValueError(f"the requirement {_show(text)} is refused: {reason}")
    found = _REQUIREMENT.fullmatch(text)
    extras = sorted({normalize_name(x) for x in re.findall(_NAME, found["extras"] or "")})
    clauses = [re.sub(r"\s+", "", clause) for clause in _split_versions(found["versions"])]
    marker = " ".join((found["marker"] or "").split())
    return (
        normalize_name(found["name"])
        + (f"[{','.join(extras)}]" if extras else "")
        + ",".join(sorted(set(clauses)))
        + (f"; {marker}" if marker else "")
    )


def check_all(texts: list[str]) -> list[str]:
    """Check many; returns them sorted, each once."""
    if len(texts) > COUNT_MAX:
        raise ValueError(f"there are {len(texts)} requirements; at most {COUNT_MAX} are taken")
    return sorted({check(text) for text in texts})


def _show(text: str) -> str:
    return ascii(text if len(text) <= 100 else text[:100] + "...")


def _refusal(text: str) -> str:
    """Say why a text is no requirement; "" when it is one."""
    if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        return f"it is longer than {BYTES_MAX} bytes"
    if not text.isprintable():
        return "it has control characters"
    start = text.strip()
    if not start:
        return "it is empty"
    if start.startswith("-"):
        return "it is an option; only names, extras, versions and markers are taken"
    before_marker = start.partition(";")[0]
    if "@" in before_marker or "://" in before_marker:
        return "it names an address; packages come from the package index alone"
    if start.startswith(".") or "/" in before_marker or "\\" in before_marker:
        return "it names a path; packages come from the package index alone"
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        return "it does not begin with the name of a project"
    for clause in _split_versions(found["versions"]):
        match = _CLAUSE.fullmatch(clause)
        if match is None or (match["any"] and match["operator"] not in ("==", "!=")):
            return f"{_show(clause)} is no version clause, such as >=2.1"
        if match["operator"] == "~=" and "." not in match["release"]:
            return f"{_show(clause)} needs a version of two parts"
    if found["marker"] is not None and not _is_marker(found["marker"]):
        return "what follows the semicolon is no marker (PEP 508)"
    return ""


def _split_versions(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return [clause.strip() for clause in text.split(",")] if text else []


def _is_marker(text: str) -> bool:
    """Whether a text is a marker: token by token, without recursion."""
    text = text.rstrip()
    at = depth = 0
    state = "start"
    while at < len(text):
        token = _MARKER_TOKEN.match(text, at)
        if token is None or token.lastgroup not in _MARKER_NEXT[state]:
            return False
        at = token.end()
        kind = token.lastgroup
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            return False
        side = "right" if state == "operator" else "left"
        state = side if kind == "operand" else kind
    return depth == 0 and state in ("right", "close")


def read_block(source: bytes, filename: str) -> Block | None:
    """Read a program's PEP 723 block, if it has one; a bad one is a SyntaxError with its line."""
    text = execute.decode(source)
    blocks = list(_BLOCK.finditer(text))
    if not blocks:
        return None
    line = text.count("\n", 0, blocks[0].start()) + 1
    try:
        if len(blocks) > 1:
            raise ValueError("there is more than one block")
        return _parse_block(blocks[0]["body"])
    except (ValueError, RecursionError) as error:
        # A TOML error knows its own line, counted from the block's second.
        line += max(0, getattr(error, "lineno", 0))
        shown = text.split("\n")[line - 1] + "\n"
        message = f"invalid script metadata (PEP 723): {getattr(error, 'msg', '') or error}"
        raise SyntaxError(message, (filename, line, 1, shown, line, 1)) from None


def _parse_block(body: str) -> Block:
    import tomllib

    lines = body.removesuffix("\n").split("\n")
    table = tomllib.loads("\n".join([line[2:] for line in lines]))
    block = Block()
    block.requires_python = table.get("requires-python", "")
    if not isinstance(block.requires_python, str):
        raise ValueError("requires-python must be a text")
    if "dependencies" in table:
        listed = table["dependencies"]
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise ValueError("dependencies must be a list of texts")
        block.dependencies = check_all(listed)
    is_compatible(block.requires_python, "3")  # a bad clause is an error of the block
    return block


def is_compatible(specifier: str, version: str) -> bool:
    """Whether a version fits a specifier such as ``>=3.12,<4`` (PEP 440)."""
    own = _parse_version(version)
    fits = True
    for clause in _split_versions(specifier):
        found = _CLAUSE.fullmatch(clause)
        if found is None or found["operator"] == "===":
            raise ValueError(f"{_show(clause)} is no version clause, such as >=3.12")
        other = _parse_version(found["version"])
        fits = _fits(own, found["operator"], other, found["any"]) and fits
    return fits


def _parse_version(text: str) -> tuple:
    """Make a version a tuple that compares as versions do; its second item is the release."""
    found = re.fullmatch(_VERSION, text, re.ASCII | re.IGNORECASE)
    release = [int(part) for part in found["release"].split(".")]
    full = tuple(release)
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    has_post = found["post_n"] is not None or found["post"] is not None
    if found["pre"]:
        pre = (_PHASES[found["pre"].lower()], int(found["pre_n"] or 0))
    else:
        pre = (-1, 0) if found["dev"] and not has_post else (_LAST, 0)
    post = int(found["post_n"] or found["post_m"] or 0) if has_post else -1
    dev = int(found["dev_n"] or 0) if found["dev"] else _LAST
    return (int(found["epoch"] or 0), tuple(release), pre, post, dev), full


def _fits(own: tuple, operator: str, other: tuple, is_prefix: str | None) -> bool:
    (own_key, own_full), (key, full) = own, other
    if operator == "~=":
        return own_key >= key and _has_prefix(own_full, full[:-1])
    if is_prefix:
        return _has_prefix(own_full, full) is (operator == "==")
    return {
        "==": own_key == key,
        "!=": own_key != key,
        "<=": own_key <= key,
        ">=": own_key >= key,
        "<": own_key < key,
        ">": own_key > key,
    }[operator]


def _has_prefix(release: tuple, prefix: tuple) -> bool:
    padded = release + (0,) * (len(prefix) - len(release))
    return padded[: len(prefix)] == prefix
