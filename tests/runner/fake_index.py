"""A package index for tests of the resolver, in the place of vitrine-fetch.

Runs in the interpreter that resolves, whichever that is: standard library alone.
"""

import hashlib
import json

OK, MISSING, REFUSED, FAILED, OFFLINE = range(5)
PAGE, METADATA = 1, 2


def sum_of(filename: str) -> str:
    """Give the sum that a wheel of this name has here."""
    return hashlib.sha256(filename.encode()).hexdigest()


def normalize(name: str) -> str:
    """Spell a name as indexes do."""
    return name.lower().replace("_", "-").replace(".", "-")


class Index:
    """Projects and the lock file, as plain data.

    ``projects`` is {name: {version: options}}; options are "requires" (a list), "tag", "yanked",
    "python", "metadata" (text in place of the one that is made), "fails" (a status for METADATA),
    "sdist" (True where there is no wheel). A project may be a status, too. ``locked`` is
    {name: (version, options)}.
    """

    def __init__(self, projects: dict, locked: dict | None = None) -> None:
        self.projects = projects
        self.locked = locked or {}
        self.asked: list[tuple[int, list[str]]] = []
        self._metadata: dict[str, tuple[int, bytes]] = {}
        for name, versions in projects.items():
            for version, options in versions.items() if isinstance(versions, dict) else ():
                self._add(name, version, options)
        for name, (version, options) in self.locked.items():
            self._add(name, version, {"tag": "py3-none-any", **options})

    def _add(self, name: str, version: str, options: dict) -> None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {item}" for item in options.get("requires", ())]
        if "python" in options:
            lines.append(f"Requires-Python: {options['python']}")
        lines += [f"Provides-Extra: {item}" for item in options.get("extras", ())]
        text = options.get("metadata") or "\n".join(lines) + "\n\nwords\n"
        status = options.get("fails", OK)
        answer = text.encode() if status == OK else b"no source has it"
        self._metadata[sum_of(self.filename(name, version, options))] = (status, answer)

    @staticmethod
    def filename(name: str, version: str, options: dict) -> str:
        """Name a wheel."""
        return f"{name.replace('-', '_')}-{version}-{options.get('tag', 'py3-none-any')}.whl"

    def lock_file(self) -> str:
        """Write the lock file."""
        packages = {}
        for name, (version, options) in self.locked.items():
            filename = self.filename(name, version, {"tag": "py3-none-any", **options})
            packages[name] = {
                "name": name,
                "version": version,
                "file_name": filename,
                "sha256": sum_of(filename),
                "depends": options.get("depends", []),
                "imports": options.get("imports", [name]),
                "package_type": "package",
            }
        return json.dumps({"info": {}, "packages": packages})

    def fetch(self, what: int, names: list[str]) -> tuple[int, bytes]:
        """Answer as wire.fetch does."""
        self.asked.append((what, list(names)))
        if what == METADATA:
            return self._metadata.get(names[0], (MISSING, b"no source has it"))
        project = {normalize(name): value for name, value in self.projects.items()}.get(names[0])
        if project is None:
            return MISSING, b"the index has no such page"
        if isinstance(project, int):
            return project, b"the network is down"
        return OK, json.dumps(self._page(names[0], project)).encode()

    def _page(self, name: str, versions: dict) -> dict:
        files = []
        left_out = {"sdist": 0, "no_hash": 0, "too_new": 0, "other": 0}
        for version, options in versions.items():
            if options.get("sdist"):
                left_out["sdist"] += 1
                continue
            filename = self.filename(name, version, options)
            original = next(key for key in self.projects if normalize(key) == name)
            digest = sum_of(self.filename(original, version, options))
            entry = {
                "filename": filename,
                "url": f"{digest}/{filename}",
                "hashes": {"sha256": digest},
                "core-metadata": True,
            }
            if "python" in options:
                entry["requires-python"] = options["python"]
            if "yanked" in options:
                entry["yanked"] = options["yanked"]
            files.append(entry)
        page = {"meta": {"api-version": "1.1"}, "name": name, "index": 0}
        return {**page, "left_out": left_out, "files": files}
