"""docs/results.md: the schema of a result as a table, and results of real programs.

`tools/check_docs.py BUILD_DIR --write-results` makes it. Times and sizes that differ from run to
run are zeros in it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

HEAD = """\
# Results

What a call of `run_python_code` gives back. This page is made from the server's own schema and from
programs that are run for it, by `tools/check_docs.py BUILD_DIR --write-results`.

- `content` begins with one text, as mcp-run-python has it: `<status>`, `<dependencies>`,
  `<output>`, `<return_value>` or `<error>`, and `<limits>`; or as JSON with `--return-mode json`.
  Pictures follow it in order, as `image` items (SVG as an embedded resource); the text says where
  each of them stood, and how large it is: `[image/png, 640x480]`. See
  [Pictures](guide-pictures.md). Then come the files that the program made: small ones as embedded
  resources, others as links that `resources/read` takes. See [Files](guide-files.md).
- `structuredContent` (from protocol 2025-06-18 on) is an object of the members below, which
  `outputSchema` describes. It holds no picture: `display` says which item of `content` has it.
  `vitrine run --json` prints the same object, with pictures as base64 where they stand.
- `isError` is true for every status but `success`.

## Members

| member | type | |
|---|---|---|
"""

EXAMPLES = [
    ("A value", 'print("hello")\n[1, 2.5, None]'),
    ("An error", 'import sys\n\nprint("a", file=sys.stderr)\nprint("b")\n1 / 0'),
    (
        "A value with more than text",
        'class Formula:\n    def _repr_latex_(self):\n        return "$x^2$"\n\n\n'
        "display(Formula())\nFormula()",
    ),
]


def kind_of(schema: dict[str, Any]) -> str:
    """What a member is, in words."""
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    return f"{kind} of {kind_of(schema['items'])}s" if "items" in schema else kind


def rows_of(schema: dict[str, Any], path: str) -> list[str]:
    """A row for each member, and for the members of those."""
    rows = []
    required = schema.get("required", [])
    for name, member in schema.get("properties", {}).items():
        words = member.get("description", "")
        if "enum" in member:
            words = f"{words}: {', '.join(member['enum'])}".removeprefix(": ")
        if not path and name not in required:
            words += ". Not always there"
        rows.append(f"| `{path}{name}` | {kind_of(member)} | {words} |")
        rows += rows_of(member, f"{path}{name}.")
        inner = member.get("items", {})
        rows += rows_of(inner, f"{path}{name}[].")
        if "additionalProperties" in inner:
            rows += rows_of(inner["additionalProperties"], f"{path}{name}[].*.")
    return rows


def still(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what differs from run to run."""
    return {**result, "timings": dict.fromkeys(result["timings"], 0), "memory_bytes": 0}


def example(build: Path, title: str, code: str) -> str:
    """A program, and what comes back."""
    done = subprocess.run(
        [build / "vitrine", "run", "--json", "--no-install", "-c", code],
        capture_output=True,
        timeout=60,
        check=False,
    )
    result = json.dumps(still(json.loads(done.stdout)), indent=2, ensure_ascii=False)
    return f"\n## {title}\n\n```python\n{code}\n```\n\n```json\n{result}\n```\n"


def results_page(build: Path) -> str:
    """The whole page."""
    program = build / "src" / "result" / "result-schema"
    schema = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = "\n".join(rows_of(json.loads(schema), ""))
    return HEAD + rows + "\n" + "".join(example(build, *pair) for pair in EXAMPLES)
