"""Which package index pip would use on the host: asked of pip itself, in a cell without a network.

The host gives copies of pip's configuration files, each with the path that it has there, and the
variables that pip looks at. They are put where pip looks for them; then its own option parser says
what follows. Where nothing is configured that is pip's own default.
"""

import os
import sys
from contextlib import redirect_stderr
from io import StringIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from optparse import Values

_FILES_MAX = 32
_FILE_CHARS_MAX = 1 << 20
# Where configuration files lie depends on these.
_FOLDER_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")


def index_settings(files: dict[str, str], environment: dict[str, str]) -> dict:
    """Ask pip for its index, given its configuration files and the variables.

    Returns {"index_urls": [address, ...], "cert", "client_cert", "proxy": text or null,
    "trusted_hosts": [...]}, the first address before the others; or {"error": text}.
    ``VIRTUAL_ENV`` among the variables says where the file of a virtual environment lies.
    """
    try:
        _write_files(files)
        _set_environment(environment)
        return _describe(_ask_pip())
    except (ValueError, OSError) as error:
        return {"error": str(error)}


def _write_files(files: dict[str, str]) -> None:
    if len(files) > _FILES_MAX:
        raise ValueError(f"more than {_FILES_MAX} configuration files")
    for path, text in files.items():
        if not path.startswith("/") or len(text) > _FILE_CHARS_MAX:
            raise ValueError(f"{path!r} is no configuration file of pip's")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def _set_environment(environment: dict[str, str]) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_") or name in _FOLDER_VARIABLES:
            del os.environ[name]
    for name, value in environment.items():
        if name.startswith("PIP_") or name in _FOLDER_VARIABLES:
            os.environ[name] = value
    if prefix := environment.get("VIRTUAL_ENV"):
        sys.prefix = prefix


def _ask_pip() -> "Values":
    from pip._internal.commands import create_command
    from pip._internal.exceptions import PipError

    said = StringIO()
    try:
        with redirect_stderr(said):
            options, _ = create_command("install").parser.parse_args([])
    except PipError as error:
        raise ValueError(f"pip's configuration: {error}") from None
    except SystemExit:  # the parser's way to refuse a value; the last line says why
        lines = said.getvalue().strip().splitlines()
        reason = lines[-1] if lines else "a value is refused"
        raise ValueError(f"pip's configuration: {reason}") from None
    return options


def _describe(options: "Values") -> dict:
    indexes = [] if options.no_index else [options.index_url, *options.extra_index_urls]
    return {
        "index_urls": [url for url in indexes if url],
        "cert": options.cert,
        "client_cert": options.client_cert,
        "proxy": options.proxy or None,
        "trusted_hosts": list(options.trusted_hosts),
    }
