"""What a program would import and need, told to the person who is to say whether it may run.

It is run as any program is, in a cell of the base environment, which ends afterwards:

    from vitrine import survey
    survey.survey(source, dependencies)

The value is {"standard": [module], "packages": [{"module", "project"}], "requirements": [text],
"error": text}: modules of the standard library; imports that a package has to give,
with the project that would be installed for them, or ""; what is required by name; why a list is
not complete, or "". The source is parsed, never run. An import that is put together while the
program runs cannot be seen.
"""

import sys

from vitrine import execute, imports

_NAMES_MAX = 256  # limits.h, LIMIT_SURVEY_NAMES_MAX


def survey(source: str, dependencies: list[str]) -> dict[str, object]:
    """Say what a program with these requirements beside it would import and need."""
    code = source.encode("utf-8", "replace")
    found: set[str] = set()
    required: list[str] = []
    errors: list[str] = []
    try:
        found = imports.find_imports(execute.parse(code, "main.py"), code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        errors.append(f"it does not compile: {error}")
    try:
        required = _required(code, dependencies)
    except Exception as error:  # refused by the grammar, as it would be before a run
        errors.append(str(error))
    standard: set[str] = set()
    packages: dict[str, str] = {}
    for name in found:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            standard.add(top)
        elif top not in ("__main__", "vitrine"):
            packages.setdefault(top, imports.project_of(name))
    return {
        "standard": sorted(standard)[:_NAMES_MAX],
        "packages": [
            {"module": module, "project": packages[module]}
            for module in sorted(packages)[:_NAMES_MAX]
        ],
        "requirements": required[:_NAMES_MAX],
        "error": "; ".join(errors)[:1000],
    }


def _required(code: bytes, dependencies: list[str]) -> list[str]:
    if not dependencies and b"# /// script" not in code:
        return []
    from vitrine import requirements  # few programs state what they need

    block = requirements.read_block(code, "main.py")
    stated = block.dependencies if block is not None else None
    return requirements.check_all([*dependencies, *(stated or ())])
