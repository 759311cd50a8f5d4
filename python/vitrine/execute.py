"""From a request to code objects in a fresh ``__main__``, as ``python main.py`` would have it."""

import gc
import sys
from _weakref import ref as _reference
from posix import getcwd as _getcwd

from vitrine import BUILTINS, hooks, wire

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ast import AST
    from types import CodeType

_RESULT_BYTES_DEFAULT = 1 << 20

picture_bytes = 128 << 10  # of one picture as base64: the request says how much

# ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, ast.PyCF_ONLY_AST and inspect.CO_COROUTINE, without the imports.
_TOP_LEVEL_AWAIT = 0x2000
_ONLY_AST = 0x400
_COROUTINE = 0x80


# With what the last line of a program begins when it is for sure no expression of its own.
_NO_EXPRESSION = (b"", b" ", b"\t", b"#", b"@", b")", b"]", b"}")
_STATEMENTS = frozenset(
    b"assert async break class continue def del elif else: except except: finally: for from global "
    b"if import nonlocal pass raise return try: while with yield".split()
)


class Request:
    """A request's fields. Unknown fields are the host's business; limits it enforces itself."""

    def __init__(self, record: bytes) -> None:
        self.code = b""
        self.filename = "main.py"
        self.globals_json = b""
        self.arguments: list[str] = []
        self.environment: list[str] = []
        self.want_value = 0  # 1: it is the result; 2: it is shown, as at a prompt
        self.result_bytes_max = _RESULT_BYTES_DEFAULT
        self.recursion_limit = 0
        self.picture_bytes = picture_bytes
        self.finds_needs = False
        self.session = 0  # 1: one of a session; 2: beside the session's program
        self.is_of_copy = False
        self.dependencies: list[str] = []
        self.resolved = ""
        for number, value in wire.fields(record):
            if known := _FIELDS.get(number):
                setattr(self, known[0], known[1](value))
            elif known := _LISTS.get(number):
                getattr(self, known).append(value.decode("utf-8", "surrogateescape"))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _truth(value: bytes) -> bool:
    return wire.number(value) != 0


# A table: most of a request's fields are the host's, and to pass over one should cost little.
_FIELDS = {
    wire.REQUEST_CODE: ("code", bytes),
    wire.REQUEST_FILENAME: ("filename", _text),
    wire.REQUEST_GLOBALS: ("globals_json", bytes),
    wire.REQUEST_WANT_VALUE: ("want_value", wire.number),
    wire.REQUEST_RESULT_BYTES: ("result_bytes_max", wire.number),
    wire.REQUEST_RECURSION: ("recursion_limit", wire.number),
    wire.REQUEST_PICTURE_BYTES: ("picture_bytes", wire.number),
    wire.REQUEST_NEEDS: ("finds_needs", _truth),
    wire.REQUEST_RESOLVED: ("resolved", _text),
    wire.REQUEST_SESSION: ("session", wire.number),
    wire.REQUEST_RESEED: ("is_of_copy", _truth),
}
_LISTS = {
    wire.REQUEST_ARG: "arguments",
    wire.REQUEST_ENV: "environment",
    wire.REQUEST_DEPENDENCY: "dependencies",
}


class Loader:
    """The ``__loader__`` of ``__main__``: gives its source to whoever asks (PEP 302)."""

    def __init__(self, filename: str, source: bytes) -> None:
        self._filename = filename
        self._source = source

    def get_filename(self, _name: str = "__main__") -> str:
        """Give the name that tracebacks show."""
        return self._filename

    def get_source(self, _name: str = "__main__") -> str:
        """Give the source as text."""
        return decode(self._source)

    def is_package(self, _name: str = "__main__") -> bool:
        """Tell that a program is a plain module."""
        return False


# What the module site adds to the builtins.
_SITE_NAMES = (b"exit", b"quit", b"help", b"copyright", b"credits", b"license")
_has_site_builtins = False


def add_site_builtins() -> None:
    """Add what the module site would have added at the interpreter's start.

    In a cold start this is left out for programs that do not mention it: the import is heavy.
    """
    global _has_site_builtins
    import site

    _has_site_builtins = True
    site.setquit()
    site.setcopyright()
    site.sethelper()


class Program:
    """A request's program: its source, and the module ``__main__`` that it runs in."""

    stays = False  # it ends as a script does

    def __init__(self, request: Request) -> None:
        self.filename = request.filename
        self.source = request.code
        self.result_bytes_max = request.result_bytes_max
        self.main = type(sys)("__main__")
        self.loader = Loader(self.filename, self.source)
        self.codes: list[CodeType] = []
        self.imports: set[str] | None = None
        self.looks_for_imports = request.finds_needs and not has_standard_imports(self.source)
        self.states_needs = bool(request.dependencies) or b"# /// script" in self.source
        self.wants_value = request.want_value != 0
        self.shows_value = request.want_value == 2
        self.shows_figures = request.want_value == 1  # those left open: neither scripts nor prompts

    @property
    def space(self) -> dict[str, object]:
        """The program's global variables."""
        return self.main.__dict__

    def enter(self, request: Request) -> None:
        """Make the surroundings that a script expects, and set the variables asked for."""
        global picture_bytes
        picture_bytes = request.picture_bytes
        set_environment(request.environment)
        sys.argv = request.arguments or [self.filename]
        folder = self.filename.rpartition("/")[0] if self.filename[:1] == "/" else _getcwd()
        sys.path.insert(0, folder or "/")
        if not _has_site_builtins and any(name in self.source for name in _SITE_NAMES):
            add_site_builtins()
        self.space["__loader__"] = self.loader
        self.space["__builtins__"] = sys.modules["builtins"]
        self.space["__file__"] = self.filename
        self.space["__cached__"] = None
        self.space.update(parse_globals(request.globals_json))
        sys.modules["__main__"] = self.main
        hooks.when_imported("linecache", lambda _: self.offer_source())

    def compile(self) -> None:
        """Compile to one code object; or to two, where the value of the second is wanted."""
        if self.looks_for_imports and not self.states_needs and self._has_what_it_names():
            self.looks_for_imports = False
        if self.wants_value and not self.looks_for_imports:
            self.codes = compile_lines(self.source, self.filename)
            if self.codes:
                return
        try:
            self.codes = self._compile()
        except SyntaxError as error:
            complete_error(error, self.source, self.filename)
            raise
        self.wants_value = len(self.codes) > 1

    def _has_what_it_names(self) -> bool:
        """Whether all that the program may import is here, as far as its lines tell."""
        from vitrine import imports  # many programs have none

        names = names_in_lines(self.source)
        return bool(names) and imports.find_need(self.source, "", names, [], "") is None

    def _compile(self) -> "list[CodeType]":
        if not self.wants_value and not self.looks_for_imports:
            return [compile(self.source, self.filename, "exec", _TOP_LEVEL_AWAIT, True)]
        tree = parse(self.source, self.filename)
        if self.looks_for_imports:
            from vitrine import imports  # many programs have none

            self.imports = imports.find_imports(tree, self.source)
        return compile_tree(tree, self.source, self.filename, self.wants_value)

    def find_need(self, request: Request) -> str | None:
        """Tell what the program needs that this environment lacks; None when it can run."""
        if not self.imports and not self.states_needs:
            return None
        from vitrine import imports

        return imports.find_need(
            self.source,
            self.filename,
            self.imports or set(),
            request.dependencies,
            request.resolved,
        )

    def lines(self) -> list[str]:
        """Give the lines of the source, for display."""
        return lines_of(self.source)

    def offer_source(self) -> None:
        """Let tracebacks and warnings show lines of a program that is in no file."""
        lines = self.lines()
        sys.modules["linecache"].cache[self.filename] = (
            len(self.source),
            None,
            lines,
            self.filename,
        )

    def free(self) -> None:
        """Drop all the program's variables at once, to get memory."""
        self.space.clear()

    def end(self) -> None:
        """Let go of the module as the interpreter does at exit: files get flushed, and
        ``__del__`` runs, which may still use the variables.

        What something else keeps alive is emptied: private names first, then the rest.
        """
        # A collection while everything is still reachable puts owners before what they own, so
        # that the next one closes a file's text layer, with its data, before the descriptor.
        gc.collect()
        if isinstance(sys.modules, dict):
            sys.modules.pop("__main__", None)
        loader = _reference(self.loader)
        self.main = self.loader = None
        gc.collect()
        if loader() is None:
            return
        for space in gc.get_referrers(loader()):
            if type(space) is dict and space.get("__loader__") is loader():
                _empty(space)
        gc.collect()


def _empty(space: dict[str, object]) -> None:
    for private in (True, False):
        for name in list(space):
            if type(name) is not str or name == "__builtins__":
                continue
            if (name[:1] == "_" and name[:2] != "__") is private:
                space[name] = None


def set_environment(items: list[str]) -> None:
    """Add variables to the environment."""
    if not items:
        return
    from os import environ  # there since the interpreter's start

    for item in items:
        name, _, value = item.partition("=")
        environ[name] = value
    if "TZ" in environ:
        import time

        time.tzset()


def lines_of(source: bytes) -> list[str]:
    """Give the lines of a source, for display."""
    return [f"{line}\n" for line in decode(source).split("\n")]


def decode(source: bytes) -> str:
    """Decode a source file for display: by its cookie, with replacements, never an error."""
    encoding = "utf-8"
    if b"coding" in b"".join(source.split(b"\n", 2)[:2]):
        import tokenize  # heavy, and next to no program has a cookie

        try:
            encoding = tokenize.detect_encoding(iter(source.splitlines(True)).__next__)[0]
            source.decode(encoding, "replace")
        except (SyntaxError, LookupError, ValueError):  # none, not for text, or without a way out
            encoding = "utf-8"
    # A mark at the start is taken off by hand: the codec that does it would have to be imported.
    text = source.decode(encoding, "replace").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_globals(text: bytes) -> dict[str, object]:
    """Decode the variables to set first."""
    if text in (b"", b"{}"):
        return {}
    import json

    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("global variables must be a JSON object")
    return found


def import_lines(source: bytes) -> list[tuple[bytes, bytes]] | None:
    """Find the lines that import: their first words, and the rest. None when that is not clear.

    Others that look the same may be among them. A closer look is one at the syntax tree, which
    costs more than compiling a small program.
    """
    found = []
    at = source.find(b"import")
    if at >= 0 and (b"\r" in source or b"\\\n" in source):
        return None
    while at >= 0:
        end = source.find(b"\n", at)
        end = end if end >= 0 else len(source)
        line = source[source.rfind(b"\n", 0, at) + 1 : end]
        first, _, rest = line.strip().partition(b" ")
        if b";" in line or first not in (b"import", b"from"):
            return None
        found.append((first, rest))
        at = source.find(b"import", end)
    return found


def has_standard_imports(source: bytes) -> bool:
    """Whether a source imports of the standard library alone; False when that is not clear."""
    lines = import_lines(source)
    for first, rest in lines or ():
        for module in rest.split(b",") if first == b"import" else [rest]:
            top = module.lstrip().partition(b" ")[0].partition(b".")[0]
            if top.decode("latin-1") not in sys.stdlib_module_names:
                return False
    return lines is not None


def names_in_lines(source: bytes) -> set[str] | None:
    """Give the dotted names that a source imports, and perhaps more; None when that is not clear.

    They are as ``imports.find_imports`` gives them.
    """
    lines = import_lines(source)
    names = []
    for first, rest in lines or ():
        module, _, parts = rest.partition(b" import ")
        if first == b"import":
            names += rest.split(b",")
        elif parts and rest[:1] != b"." and b"(" not in parts:
            names += [module + b"." + part.strip() for part in parts.split(b",")]
        else:
            return None
    words = [name.split() for name in names]
    if lines is None or not all(words):
        return None
    return {first[0].decode("latin-1") for first in words}


def compile_lines(source: bytes, filename: str) -> "list[CodeType]":
    """Compile a source whose last line is an expression of its own; its code gives the value.

    A syntax tree as objects costs more than the rest of a small program. Most can do without: what
    precedes the last line compiles alone, so that no bracket, string or block is open, and so does
    that line. Nothing is returned where this does not tell for sure what ``compile_tree`` would do.
    """
    text = source.rstrip(b" \n")
    at = text.rfind(b"\n") + 1
    head, last = text[:at], text[at:]
    if (
        last[:1] in _NO_EXPRESSION
        or last.partition(b" ")[0] in _STATEMENTS
        or last.partition(b" ")[2][:2] == b"= "
        or any(mark in last for mark in (b";", b"\\"))
        or any(mark in source for mark in (b"\r", b"\f", b"coding", b"__future__", b"\xef\xbb\xbf"))
    ):
        return []
    try:
        before = b"\n" * head.count(b"\n")
        value = compile(before + last, filename, "eval", _TOP_LEVEL_AWAIT, True)
        if not value.co_names and str in map(type, value.co_consts):
            return []  # perhaps a lone string, which would be the module's docstring too
        body = head.strip() and [compile(head, filename, "exec", _TOP_LEVEL_AWAIT, True)]
        return [*body, value]
    except Exception:  # whatever it is, it comes again where it is expected
        return []


def parse(source: bytes, filename: str) -> "AST":
    """Parse a source to its syntax tree."""
    return compile(source, filename, "exec", _TOP_LEVEL_AWAIT | _ONLY_AST, True)


def compile_tree(tree: "AST", source: bytes, filename: str, want_value: bool) -> "list[CodeType]":
    """Compile a source's tree to one code object; or to two, the second of which gives the value.

    The tree is changed.
    """
    last = tree.body[-1] if tree.body else None
    if not want_value or type(last).__name__ != "Expr" or ends_with_semicolon(source, last):
        return [compile(tree, filename, "exec", _TOP_LEVEL_AWAIT, True)]
    import _ast

    if len(tree.body) > 1 or type(getattr(last.value, "value", None)) is not str:
        tree.body.pop()  # a lone string is the module's docstring as well as its value: it stays
    return [
        compile(tree, filename, "exec", _TOP_LEVEL_AWAIT, True),
        compile(_ast.Expression(last.value), filename, "eval", _TOP_LEVEL_AWAIT, True),
    ]


def is_coroutine(code: "CodeType") -> bool:
    """Whether the code awaits at its top level, so that running it gives a coroutine."""
    return code.co_flags & _COROUTINE != 0


def ends_with_semicolon(source: bytes, last: object) -> bool:
    """Whether a semicolon follows the last statement: it then says that its value is unwanted."""
    if b";" not in source:
        return False
    lines = decode(source).encode("utf-8", "replace").split(b"\n")
    lines = lines[last.end_lineno - 1 :]
    lines[0] = lines[0][last.end_col_offset :]
    return b"\n".join(lines).lstrip(b" \t\f\\\n").startswith(b";")


def complete_error(error: SyntaxError, source: bytes, filename: str) -> None:
    """Make an error in a string of source what it would be in a *file* of that source.

    The compiler looks up the line in the file where the parser does not know it, and has other
    words for what cannot be decoded.
    """
    message = error.msg
    if message.startswith("source code string cannot contain null bytes"):
        message = "source code cannot contain null bytes"
        _relocate(error, message, filename, source, source.find(0), True)
    elif message.startswith("Non-UTF-8 code"):
        try:
            source.decode("utf-8")
        except UnicodeDecodeError as found:
            line = source.count(b"\n", 0, found.start) + 1
            message = (
                f"Non-UTF-8 code starting with '\\x{source[found.start]:02x}' in file {filename} "
                f"on line {line}, but no encoding declared; see "
                "https://peps.python.org/pep-0263/ for details"
            )
            _relocate(error, message, filename, source, found.start, False)
    elif message.startswith("unknown encoding: ") or " is not a text encoding; " in message:
        name = message.removeprefix("unknown encoding: ").removeprefix("'").partition("'")[0]
        error.msg = f"encoding problem: {name}"
        error.filename = error.lineno = error.offset = error.text = None
    elif error.text is None and error.filename == filename and error.lineno:
        lines = decode(source).split("\n")
        if error.lineno <= len(lines):
            error.text = lines[error.lineno - 1] + "\n"


def _relocate(
    error: SyntaxError, message: str, filename: str, source: bytes, at: int, is_end: bool
) -> None:
    """Point an error at a byte; ``is_end`` where nothing from there on can be shown."""
    begin = source.rfind(b"\n", 0, at) + 1
    end = source.find(b"\n", at)
    error.msg = message
    error.filename = filename
    error.lineno = error.end_lineno = source.count(b"\n", 0, at) + 1
    error.offset = 0 if is_end else len(source[begin:at].decode("utf-8", "replace")) + 1
    error.end_offset = error.offset
    error.text = source[begin : at if is_end else end if end >= 0 else None].decode(
        "utf-8", "replace"
    )
