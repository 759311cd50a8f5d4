"""What `vitrine repl` asks of a session beside the program's own lines: is this input complete, and
how could this word go on.

Both run in the session's interpreter, so that they see its variables, but in a module of their own.
"""

import builtins
import keyword
import sys
import warnings

from vitrine import BUILTINS

__builtins__ = BUILTINS

_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_INCOMPLETE = 0x4000  # ast.PyCF_ALLOW_INCOMPLETE_INPUT
_NO_INDENT_YET = 0x200  # ast.PyCF_DONT_IMPLY_DEDENT
_COMPLETIONS_MAX = 200
_NAME_CHARS_MAX = 200


def wants_more(text: str) -> bool:
    """Whether an input goes on, as Python's own prompt decides it.

    A block is complete when a blank line follows it; one line that is complete by itself is so at
    once, and so is what can never become right: its error is what there is to say.
    """
    text = text.rstrip(" \t")  # the indentation of a line that nothing was written in
    lines = text.splitlines(keepends=True) or [""]
    try:
        is_open = _is_open(text)
    except (SyntaxError, ValueError, OverflowError):
        if len(lines) == 1:
            return False
        # Several statements, perhaps: a block is still open while its last line is.
        last = lines[-1]
        is_open = bool(last.strip()) and (last[:1] in " \t")
    return is_open


def _is_open(text: str) -> bool:
    flags = _TOP_LEVEL_AWAIT | _INCOMPLETE | _NO_INDENT_YET
    if not any(line.strip() and line.lstrip()[0] != "#" for line in text.split("\n")):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<input>", "single", flags, True)
            return False
        except SyntaxError:  # complete with a newline behind it, or not complete, or wrong
            pass
        try:
            compile(text + "\n", "<input>", "single", flags, True)
            return True
        except SyntaxError as error:
            if type(error).__name__ == "_IncompleteInputError" or "incomplete" in str(error):
                return True
            raise


def complete(text: str) -> dict[str, object]:
    """Say how the last word of a text could go on: {"start": of the word, "words": [text]}.

    ``start`` counts characters. A name is looked for in the program's variables, among the builtins
    and the keywords; what stands behind a dot is asked of the object, which is found without
    calling anything; behind ``import`` it is a module.
    """
    start = len(text)
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_."):
        start -= 1
    word = text[start:]
    line = text[text.rfind("\n") + 1 : start].split()
    owner, dot, part = word.rpartition(".")
    if line[:1] in (["import"], ["from"]) and "import" not in line[1:]:
        found = _modules(owner, part)
    elif line[:1] == ["from"] and len(line) >= 3:
        found = [name for name in _attributes(sys.modules.get(line[1])) if name.startswith(word)]
        owner, dot, part = "", "", word
    elif dot:
        found = _attributes_of(owner, part)
    else:
        found = _names(part)
    words = sorted({name for name in found if len(name) <= _NAME_CHARS_MAX})
    if not part.startswith("_"):
        words = [name for name in words if not name.startswith("_")]
    return {"start": start + len(owner) + len(dot), "words": words[:_COMPLETIONS_MAX]}


def _space() -> dict[str, object]:
    return sys.modules["__main__"].__dict__


def _names(part: str) -> list[str]:
    known = [*_space(), *vars(builtins), *keyword.kwlist, *keyword.softkwlist]
    return [name for name in known if type(name) is str and name.startswith(part)]


def _attributes_of(owner: str, part: str) -> list[str]:
    names = owner.split(".")
    found = _space().get(names[0], vars(builtins).get(names[0]))
    for name in names[1:]:
        try:
            found = getattr(found, name)
        except Exception:  # the object's own code, which may raise anything
            return []
    return [name for name in _attributes(found) if name.startswith(part)]


def _attributes(found: object) -> list[str]:
    try:
        return [name for name in dir(found) if type(name) is str] if found is not None else []
    except Exception:  # a __dir__ of the program's
        return []


def _modules(owner: str, part: str) -> list[str]:
    import pkgutil  # only where somebody asks

    if not owner:
        names = {*sys.stdlib_module_names, *(module.name for module in pkgutil.iter_modules())}
    else:
        module = sys.modules.get(owner)
        path = getattr(module, "__path__", None)
        names = {module.name for module in pkgutil.iter_modules(path)} if path else set()
    return [name for name in names if name.startswith(part)]
