"""The one index that pip sees when it resolves: pages and METADATA, and where they come from.

Each project has one source. A project of the distribution's lock file has a page with a single
wheel, the lock's; every other project, and one that the lock's wheel cannot serve, has the page
that the package index has. The two are never mixed. Bytes come through the fetch descriptor alone,
where the host asks for projects and sums and never for addresses.
"""

import json
import re
from io import BytesIO

from pip._internal.models.target_python import TargetPython
from pip._internal.network.session import PipSession
from pip._vendor.packaging.utils import (
    InvalidWheelFilename,
    canonicalize_name,
    parse_wheel_filename,
)
from pip._vendor.requests.adapters import BaseAdapter
from pip._vendor.requests.models import PreparedRequest, Response
from pip._vendor.requests.structures import CaseInsensitiveDict

from vitrine import imports, wire

FETCHES_MAX = 2000  # limits.h, LIMIT_RESOLVE_FETCHES_MAX
PACKAGES_MAX = 512  # limits.h, LIMIT_PACKAGES_MAX
_CONSIDERED_MAX = PACKAGES_MAX + PACKAGES_MAX // 2
INDEX = "https://index.invalid/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_AHEAD_MAX = 400  # names in one question: of 64 bytes each, half of what it may have
_ADDRESS = re.compile(
    re.escape(INDEX)
    + r"/(?P<name>[a-z0-9-]+)/(?:(?P<sum>[0-9a-f]{64})/(?P<file>[^/]+)\.metadata)?",
    re.ASCII,
)
_DEPENDENCY = re.compile(rb"^Requires-Dist:[ \t]*([A-Za-z0-9._-]+)(.*)$", re.MULTILINE)


class FetchError(Exception):
    """Something could not be had; ``temporary`` where it may be there the next time."""

    def __init__(self, message: str, temporary: bool, offline: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.offline = offline  # nobody was asked, since the network is not to be used


class LockedWheelError(Exception):
    """No source delivers the wheel that the lock file names."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


class ExhaustedError(Exception):
    """A limit of the whole resolution was reached."""


class Locked:
    """A package of the lock file."""

    def __init__(self, entry: dict) -> None:
        self.version: str = entry["version"]
        self.filename: str = entry["file_name"]
        self.sha256: str = entry["sha256"]
        self.depends = [canonicalize_name(name) for name in entry["depends"]]
        self.is_pure = self.filename.endswith("-none-any.whl")


class Page:
    """What there is of a project."""

    def __init__(self, content: bytes, missing: str = "") -> None:
        self.content = content
        self.missing = missing  # why there is nothing at all

    def files(self) -> list[dict]:
        """Give the entries of its wheels."""
        return json.loads(self.content).get("files", []) if self.content else []

    def left_out(self) -> dict[str, int]:
        """Tell how many files are no wheels that may be used, by their kind."""
        return json.loads(self.content).get("left_out", {}) if self.content else {}


def read_lock(path: str) -> dict[str, Locked]:
    """Read the wheels of a lock file, by their normalized names."""
    with open(path, "rb") as file:
        packages = json.load(file)["packages"]
    return {
        canonicalize_name(entry["name"]): Locked(entry)
        for entry in packages.values()
        if entry["package_type"] == "package" and entry["file_name"].endswith(".whl")
    }


class Catalog:
    """All projects, as this resolution may see them."""

    def __init__(self, allow: list[dict] | None, use_lock: bool) -> None:
        self.lock = read_lock(imports.LOCK_FILE) if use_lock else {}
        self.allow = None
        if allow is not None:
            self.allow = {canonicalize_name(entry["name"]): entry for entry in allow}
        # Projects whose locked wheel nobody has: why, and whether that may be different later.
        self.undelivered: dict[str, tuple[str, bool]] = {}
        self.moved: set[str] = set()  # projects of the lock file taken from the index nonetheless
        # Whether wheels of the lock file are taken to fit each other whatever they say themselves:
        # the distribution has built and tried them together.
        self.trusts_lock = False
        tags = TargetPython().get_unsorted_tags()
        self._tags = {(tag.interpreter, tag.abi, tag.platform) for tag in tags}
        self._fetches = 0
        self._pages: dict[tuple[str, bool], Page] = {}
        self._metadata: dict[str, bytes] = {}
        self._considered: set[str] = set()  # projects whose METADATA pip has read
        self._wanted: dict[str, None] = {}  # projects that pip will ask for soon, in order
        for name, locked in list(self.lock.items()):
            if not self._is_allowed(name, locked.filename, locked.sha256):
                del self.lock[name]

    def locked(self, name: str) -> Locked | None:
        """Give the locked wheel that a project has for its page, if it is one of those."""
        if name in self.undelivered or name in self.moved:
            return None
        return self.lock.get(name)

    def page(self, name: str) -> Page:
        """Give a project's page."""
        locked = self.locked(name)
        key = (name, locked is not None)
        if key not in self._pages:
            if self.allow is not None and name not in self.allow:
                page = Page(b"", f"{name} is not in the list of allowed packages")
            elif locked is not None:
                page = _locked_page(name, locked)
            else:
                page = self._index_page(name)
            self._pages[key] = page
        return self._pages[key]

    def metadata(self, name: str, sha256: str) -> bytes:
        """Give a wheel's METADATA, by the wheel's sum."""
        self._consider(name)
        if sha256 not in self._metadata:
            status, data = self._fetch(wire.FETCH_METADATA, [sha256])
            if status != wire.FETCH_OK:
                self._refuse_metadata(name, sha256, status, _text(data))
            self._metadata[sha256] = data
            self._expect_dependencies(data)
        data = self._metadata[sha256]
        locked = self.locked(name)
        if self.trusts_lock and locked and locked.sha256 == sha256:
            head, blank, rest = data.partition(b"\n\n")
            return _DEPENDENCY.sub(self._without_versions, head) + blank + rest
        return data

    def _without_versions(self, line: "re.Match[bytes]") -> bytes:
        """Rewrite a dependency on a project of the lock file to one on any version of it."""
        name = canonicalize_name(line[1].decode())
        if not self.locked(name) or b"[" in line[2]:
            return line[0]
        _, semicolon, marker = line[2].partition(b";")
        return b"Requires-Dist: " + line[1] + semicolon + marker

    def _consider(self, name: str) -> None:
        """Count projects: pip's work grows with their square, and a chain of them need not end.

        Whoever backtracks looks at more of them than there will be in the end, but not at half as
        many again as there may be.
        """
        self._considered.add(name)
        if len(self._considered) > _CONSIDERED_MAX:
            raise ExhaustedError(
                f"more than {_CONSIDERED_MAX} projects came into question, and one environment "
                f"may have {PACKAGES_MAX}"
            )

    def ask_ahead(self, names: list[str]) -> None:
        """Have what will be wanted for these projects fetched meanwhile."""
        seen = dict.fromkeys(names)
        todo = list(seen)
        for name in todo:
            locked = self.locked(name)
            for needed in locked.depends if locked else ():
                if needed not in seen:
                    seen[needed] = None
                    todo.append(needed)
        sums = [locked.sha256 for name in seen if (locked := self.locked(name))]
        self._wanted.update(dict.fromkeys([name for name in seen if not self.locked(name)]))
        sums = [sha256 for sha256 in sums if sha256 not in self._metadata]
        if sums:
            status, data = self._fetch(wire.FETCH_METADATA, sums[:_AHEAD_MAX])
            if status == wire.FETCH_OK:
                self._metadata[sums[0]] = data

    def _index_page(self, name: str) -> Page:
        self._wanted.pop(name, None)
        ahead = [wanted for wanted in self._wanted if not self._is_known(wanted)]
        self._wanted.clear()
        status, data = self._fetch(wire.FETCH_PAGE, [name, *ahead[: _AHEAD_MAX - 1]])
        if status == wire.FETCH_MISSING:
            return Page(b"", f"there is no project {name}: {_text(data)}")
        if status != wire.FETCH_OK:
            reason = f"the page of {name} could not be had: {_text(data)}"
            if name in self.undelivered and status == wire.FETCH_OFFLINE:
                reason = self.undelivered[name][0]  # names the very wheel that is missing
            raise FetchError(
                reason,
                status in (wire.FETCH_FAILED, wire.FETCH_OFFLINE),
                status == wire.FETCH_OFFLINE,
            )
        return self._pick(name, data)

    def _is_known(self, name: str) -> bool:
        return (name, False) in self._pages or self.locked(name) is not None

    def _pick(self, name: str, data: bytes) -> Page:
        """Leave on a page what runs here and is allowed.

        pip would pass over the others itself, but some pages name ten thousand files, and it reads
        a page anew for each attempt.
        """
        page = json.loads(data)
        picked = []
        left_out = page.setdefault("left_out", {})
        left_out |= {"platform": 0, "not_allowed": 0}
        for entry in page["files"]:
            if not self._runs_here(entry["filename"]):
                left_out["platform"] += 1
            elif not self._is_allowed(name, entry["filename"], entry["hashes"]["sha256"]):
                left_out["not_allowed"] += 1
            else:
                picked.append(entry)
        page["files"] = picked
        return Page(json.dumps(page).encode())

    def _runs_here(self, filename: str) -> bool:
        parts = filename.removesuffix(".whl").rsplit("-", 3)
        return len(parts) == 4 and any(
            (python, abi, platform) in self._tags
            for python in parts[1].split(".")
            for abi in parts[2].split(".")
            for platform in parts[3].split(".")
        )

    def _is_allowed(self, name: str, filename: str, sha256: str) -> bool:
        if self.allow is None:
            return True
        entry = self.allow.get(name)
        if entry is None:
            return False
        try:
            version = str(parse_wheel_filename(filename)[1])
        except InvalidWheelFilename:
            return False
        versions, sums = entry.get("versions"), entry.get("sha256")
        return (not versions or version in versions) and (not sums or sha256 in sums)

    def _refuse_metadata(self, name: str, sha256: str, status: int, text: str) -> None:
        locked = self.locked(name)
        is_temporary = status in (wire.FETCH_FAILED, wire.FETCH_OFFLINE)
        if locked and locked.sha256 == sha256 and status != wire.FETCH_REFUSED:
            self.undelivered[name] = (text, is_temporary)
            raise LockedWheelError(name, text)
        raise FetchError(
            f"the METADATA of a wheel of {name} could not be had: {text}",
            is_temporary,
            status == wire.FETCH_OFFLINE,
        )

    def _expect_dependencies(self, metadata: bytes) -> None:
        """Note the projects that METADATA names, so that their pages are asked for together."""
        head = metadata.partition(b"\n\n")[0]
        for found in _DEPENDENCY.finditer(head):
            name = canonicalize_name(found[1].decode())
            if b"extra" not in found[2] and not self._is_known(name):
                self._wanted[name] = None
            if len(self._wanted) >= _AHEAD_MAX:
                return

    def _fetch(self, what: int, names: list[str]) -> tuple[int, bytes]:
        self._fetches += 1
        if self._fetches > FETCHES_MAX:
            raise ExhaustedError(f"more than {FETCHES_MAX} pages and METADATA files were wanted")
        return wire.fetch(what, names)


def _locked_page(name: str, locked: Locked) -> Page:
    entry = {
        "filename": locked.filename,
        "url": f"{locked.sha256}/{locked.filename}",
        "hashes": {"sha256": locked.sha256},
        "core-metadata": True,
    }
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": [entry]}
    return Page(json.dumps(page).encode())


def _text(data: bytes) -> str:
    return data[:2000].decode("utf-8", "replace")


class _Adapter(BaseAdapter):
    """Answers pip's requests out of the catalog; nothing else is reachable."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self._catalog = catalog

    def send(self, request: PreparedRequest, **_options: object) -> Response:
        """Answer one request."""
        found = _ADDRESS.fullmatch(request.url)
        if found is None or request.method != "GET":
            raise FetchError(f"{request.url[:200]} is not in the package index", False)
        response = Response()
        response.request = request
        response.url = request.url
        response.status_code = 200
        if found["sum"]:
            kind, data = "text/plain", self._catalog.metadata(found["name"], found["sum"])
        else:
            page = self._catalog.page(found["name"])
            kind, data = _JSON, page.content
            if page.missing:
                response.status_code, response.reason = 404, page.missing
        response.headers = CaseInsensitiveDict(
            {"Content-Type": kind, "Content-Length": str(len(data))}
        )
        response.raw = BytesIO(data)
        return response

    def close(self) -> None:
        """Nothing is open."""


def make_session(catalog: Catalog) -> PipSession:
    """Make pip's session, with a catalog in the place of every connection."""
    session = PipSession(index_urls=[INDEX])
    session.trust_env = False
    session.auth = None
    session.adapters.clear()
    session.mount("https://", _Adapter(catalog))
    return session
