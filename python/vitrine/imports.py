"""From a program to what it needs: the packages that it imports, or that it says it depends on.

An import is found wherever it stands in the code. Its top-level name is looked for here, without
importing anything; what is neither of the standard library nor of the program's own folder becomes
a guess: the name of a project that has it, by the distribution's lock file, by a table of ours, or
the name itself. A guess may be wrong: the program runs all the same, and whoever guards an import
gets the ImportError that it waits for.

The need is text, the same in every environment: the host makes an environment for it, and hands
it back with the request, so that the program knows that this is all there will be.
"""

import sys
from _ast import Attribute, Call, Constant, If, Import, ImportFrom, Name
from _frozen_importlib_external import PathFinder

from vitrine import BUILTINS

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ast import AST
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec

LOCK_FILE = __file__.rpartition("/")[0] + "/pyodide-lock.json"
SITE_PACKAGES = __file__.rpartition("/")[0].rpartition("/")[0]
_COUNT_MAX = 256  # limits.h, LIMIT_REQUIREMENTS_MAX
_NAME_CHARS_MAX = 100
_BLOCK_START = b"# /// script"

# Imports whose project has another name, where the lock file does not say so.
_PROJECTS = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "Cryptodome": "pycryptodomex",
    "IPython": "ipython",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "barcode": "python-barcode",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "discord": "discord-py",
    "dns": "dnspython",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "email_validator": "email-validator",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "github": "pygithub",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "ldap": "python-ldap",
    "levenshtein": "levenshtein",
    "Levenshtein": "levenshtein",
    "magic": "python-magic",
    "markdown": "markdown",
    "mistune": "mistune",
    "mpl_toolkits": "matplotlib",
    "multipart": "python-multipart",
    "MySQLdb": "mysqlclient",
    "nacl": "pynacl",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "pywt": "pywavelets",
    "redis": "redis",
    "ruamel": "ruamel-yaml",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "socks": "pysocks",
    "telegram": "python-telegram-bot",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "wx": "wxpython",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}

# Folders that many projects share: how many parts of the import make the project's name.
_SHARED = {
    "azure": 2,
    "azure.ai": 3,
    "azure.keyvault": 3,
    "azure.mgmt": 3,
    "azure.storage": 3,
    "backports": 2,
    "google": 2,
    "google.cloud": 3,
    "jaraco": 2,
    "opentelemetry": 2,
    "zope": 2,
}

# Never guessed: what belongs to the browser, to the interpreter's start, to us, and what left the
# standard library. Anybody could publish a project of such a name.
_NEVER = frozenset(
    "js pyodide pyodide_js micropip sitecustomize usercustomize vitrine "
    "aifc asynchat asyncore binhex cgi cgitb chunk crypt distutils formatter imghdr imp lib2to3 "
    "mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib "
    "uu xdrlib".split()
)

# What a package imports of its own accord when a certain word is used with it.
_BROUGHT_ALONG = (
    ("logfire", b"", "pygments"),
    ("pandas", b"", "tzdata"),
    ("pandas", b".plot", "matplotlib"),
    ("pandas", b".style", "jinja2"),
    ("pandas", b"excel", "openpyxl"),
    ("pandas", b"read_html", "lxml"),
    ("pandas", b"to_markdown", "tabulate"),
    ("pydantic", b"EmailStr", "email_validator"),
    ("pydantic", b"NameEmail", "email_validator"),
    ("rich", b"", "pygments"),
)

_by_import: dict[str, str] | None = None
_brought_here: set[str] = set()


def prepare() -> None:
    """Read the lock file, and look for what packages bring along: once, in a zygote."""
    _lock()
    for _, _, name in _BROUGHT_ALONG:
        if _find_spec(name, [SITE_PACKAGES]):
            _brought_here.add(name)


def find_imports(tree: "AST", source: bytes) -> set[str]:
    """Find the modules that a program imports, as dotted names; what is under TYPE_CHECKING is out.

    Of ``from a import b`` it is a.b, as that may be a module as well.
    """
    found: set[str] = set()
    has_calls = b"__import__" in source or b"import_module" in source
    todo = [tree]
    while todo:
        node = todo.pop()
        kind = type(node)
        if kind is Import:
            found.update([alias.name for alias in node.names])
        elif kind is ImportFrom:
            if not node.level:
                found.update([f"{node.module}.{alias.name}" for alias in node.names])
        elif kind is If and _is_type_checking(node.test):
            todo += node.orelse
        elif has_calls:
            if kind is Call and (name := _called_import(node)):
                found.add(name)
            for field in node._fields:
                _push(todo, getattr(node, field, None))
        else:  # imports are statements: expressions need not be walked
            for field in ("body", "orelse", "handlers", "finalbody", "cases"):
                if part := getattr(node, field, None):
                    todo += part
    return found


def _push(todo: list, part: object) -> None:
    if type(part) is list:
        todo += [item for item in part if hasattr(item, "_fields")]
    elif hasattr(part, "_fields"):
        todo.append(part)


def _is_type_checking(test: "AST") -> bool:
    if type(test) is Attribute:
        return test.attr == "TYPE_CHECKING"
    return type(test) is Name and test.id == "TYPE_CHECKING"


def _called_import(call: Call) -> str:
    """Give the name in ``__import__("name")`` or ``import_module("name")``, or ""."""
    function = call.func
    name = function.attr if type(function) is Attribute else getattr(function, "id", "")
    if name not in ("__import__", "import_module") or len(call.args) == 0:
        return ""
    first = call.args[0]
    value = first.value if type(first) is Constant else None
    return value if type(value) is str and value[:1] != "." else ""


def find_need(
    source: bytes, filename: str, found: set[str], given: list[str], resolved: str
) -> str | None:
    """Tell what a program needs that is not here; None when it can run.

    ``found`` are its imports, ``given`` the requirements beside the code, ``resolved`` the need
    that this environment was made for.
    """
    requirements: list[str] = []
    if given or _BLOCK_START in source:
        requirements, is_all = _stated(source, filename, given)
        if is_all:
            found = set()
    elif not found:
        return None
    wanted, is_missing = _look_for(found, source)
    if not requirements and not is_missing:
        return None
    guesses = _guess(wanted, requirements)
    if not requirements and not guesses:
        return None
    need = _as_text(requirements, guesses)
    return None if need == resolved else need


def _stated(source: bytes, filename: str, given: list[str]) -> tuple[list[str], bool]:
    """Read what is required by name, and whether that is all there is to it."""
    from vitrine import requirements

    listed = requirements.check_all(given)
    block = requirements.read_block(source, filename)
    if block is None:
        return listed, False
    version = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    if not requirements.is_compatible(block.requires_python, version):
        raise RuntimeError(
            f"the program requires Python {block.requires_python} (PEP 723), "
            f"and this is Python {version}"
        )
    if block.dependencies is None:
        return listed, False
    both = sorted({*listed, *block.dependencies})
    if len(both) > _COUNT_MAX:
        raise ValueError(f"there are {len(both)} requirements; at most {_COUNT_MAX} are taken")
    return both, True


def _look_for(found: "Iterable[str]", source: bytes) -> tuple[list[str], bool]:
    """Pick the imports that packages have to give, and tell whether one of them is not here."""
    standard = sys.stdlib_module_names
    wanted = []
    is_missing = False
    tops = set()
    for name in found:
        top = name.partition(".")[0]
        if top in standard or top in _NEVER or top == "__main__":
            continue
        tops.add(top)
        is_here = _is_here(name)
        if is_here != "elsewhere":
            wanted.append(name)
            is_missing = is_missing or not is_here
    for owner, word, name in _BROUGHT_ALONG if wanted else ():
        if owner in tops and word in source and name not in tops:
            wanted.append(name)
            is_missing = is_missing or not (name in _brought_here or _is_here(name))
    return wanted, is_missing


def brought_along(source: bytes) -> set[str]:
    """Find what packages that have been imported before would import for this source."""
    return {
        name
        for owner, word, name in _BROUGHT_ALONG
        if word and owner in sys.modules and word in source
    }


def _is_here(name: str) -> str:
    """Say where a module is: "package", "elsewhere" (the program's own folder), or "" if nowhere.

    Only in a folder that many packages share does it matter what comes after the first dot.
    """
    parts = name.split(".")
    at = ""
    path = None
    spec = None
    for part in parts:
        at = f"{at}.{part}" if at else part
        spec = _find_spec(at, path)
        if spec is None:
            return "" if part != "*" else "package"
        if spec.origin is not None or not spec.submodule_search_locations:
            break
        path = spec.submodule_search_locations
    places = list(spec.submodule_search_locations or ())
    place = spec.origin or (places[0] if places else "")
    return "package" if type(place) is str and place.startswith(SITE_PACKAGES) else "elsewhere"


def _find_spec(name: str, path: "Iterable[str] | None") -> "ModuleSpec | None":
    if spec := getattr(sys.modules.get(name), "__spec__", None):
        return spec
    try:
        return PathFinder.find_spec(name, path)
    except (ImportError, ValueError, OSError):  # a file that is none, a path with a NUL
        return None


def _guess(wanted: list[str], requirements: list[str]) -> list[str]:
    """Name the projects that have the imports, other than those required by name."""
    guesses = {project for name in wanted if (project := project_of(name))}
    if requirements:
        from vitrine.requirements import name_of

        names = {name_of(text) for text in requirements}
        # opencv-python-headless has what opencv-python is guessed for.
        guesses = {
            guess
            for guess in guesses
            if not any(name == guess or name.startswith(f"{guess}-") for name in names)
        }
    return sorted(guesses)[: _COUNT_MAX - len(requirements)]


def project_of(name: str) -> str:
    """Name the project that has a module; "" where there is no guess to be made."""
    top = name.partition(".")[0]
    if top in _SHARED:
        parts = name.split(".")
        for count in (3, 2, 1):
            prefix = ".".join(parts[:count])
            if prefix in _PROJECTS:
                return _PROJECTS[prefix]
        count = max(_SHARED.get(".".join(parts[:n]), 0) for n in (1, 2))
        if len(parts) >= count and "*" not in parts[:count]:
            return _normalize("-".join(parts[:count]))
    project = _lock().get(top) or _PROJECTS.get(top)
    if project:
        return project
    if top[:1] == "_" or not top.isascii() or len(top) > _NAME_CHARS_MAX:
        return ""
    return _normalize(top)


def _normalize(name: str) -> str:
    """Spell a project's name as indexes do (PEP 503), without a regular expression."""
    parts = name.replace("_", "-").replace(".", "-").lower().split("-")
    return "-".join([part for part in parts if part])


def _lock() -> dict[str, str]:
    """Give the projects of the lock file by the modules that they have."""
    global _by_import
    if _by_import is None:
        import json

        found: dict[str, str] = {}
        try:
            with open(LOCK_FILE, "rb") as file:
                packages = json.load(file)["packages"]
        except OSError:  # a guest without packages
            packages = {}
        for package in packages.values():
            if package["package_type"] == "package":  # others are libraries
                for name in package["imports"]:
                    found.setdefault(name, _normalize(package["name"]))
        _by_import = found
    return _by_import


def _as_text(requirements: list[str], guesses: list[str]) -> str:
    """Write a need as ``json.dumps`` would, with sorted keys and no spaces."""
    from _json import encode_basestring_ascii as quote

    guessed = ",".join(map(quote, guesses))
    required = ",".join(map(quote, requirements))
    return f'{{"guesses":[{guessed}],"requirements":[{required}]}}'
