"""What to do next when a package cannot be had: one sentence for each case."""

from difflib import get_close_matches
from platform import python_version

from pip._internal.index.package_finder import PackageFinder
from pip._vendor.packaging.specifiers import SpecifierSet

from vitrine import imports
from vitrine.catalog import Catalog, FetchError

_SHOWN_MAX = 8
_PYTHON = python_version()


def for_fetch(error: FetchError) -> str:
    """Say what can be done about something that could not be fetched."""
    if error.offline:
        return "run it once without --offline, or fill the cache beforehand with `vitrine warmup`"
    if error.temporary:
        return "check the network and its proxy, or fill the cache beforehand with `vitrine warmup`"
    return ""


def for_requirement(catalog: Catalog, finder: PackageFinder, name: str, want: str) -> str:
    """Say what can be done about a requirement that no file meets."""
    if name.startswith("<"):  # pip's own name for the interpreter
        return "choose a version that supports the Python of the guest"
    locked = catalog.lock.get(name)
    candidates = finder.find_all_candidates(name)
    if usable := [candidate for candidate in candidates if not candidate.link.is_yanked]:
        versions = sorted({candidate.version for candidate in usable}, reverse=True)
        shown = ", ".join(map(str, versions[:_SHOWN_MAX]))
        if locked and catalog.locked(name) is None and locked.version not in shown.split(", "):
            return f"the distribution has {name} {locked.version}: drop the version from {want}"
        return f"versions of {name} that run here: {shown}"
    if locked and name not in catalog.undelivered:
        return (
            f"{want} has no wheel for this platform; the distribution has {name} "
            f"{locked.version}: drop the version"
        )
    return why_unusable(catalog, name)


def why_unusable(catalog: Catalog, name: str) -> str:
    """Say why nothing of a project can be installed."""
    page = catalog.page(name)
    lost = ""
    if undelivered := catalog.undelivered.get(name):
        lost = f"; the distribution's own wheel is not to be had: {undelivered[0]}"
    if page.missing:
        return page.missing + (lost or _near(catalog, name))
    files = page.files()
    left_out = page.left_out()
    pythons = {entry.get("requires-python") or "" for entry in files}
    if files and not any(SpecifierSet(python).contains(_PYTHON) for python in pythons):
        return f"every wheel of {name} asks for another Python than {_PYTHON}: {max(pythons)}"
    if left_out.get("not_allowed"):
        return f"no version of {name} is in the list of allowed packages"
    if count := left_out.get("platform"):
        return (
            f"none of the {count} wheels of {name} runs here: only those for any platform "
            f"(pure Python) and those for pyemscripten do{lost}"
        )
    if left_out.get("too_new"):
        return f"every wheel of {name} is younger than --exclude-newer allows{lost}"
    if left_out.get("sdist"):
        return f"{name} has only source distributions, which are never built{lost}"
    return f"{name} has no wheels{lost}"


def _near(catalog: Catalog, name: str) -> str:
    known = imports.project_of(name.replace("-", "_"))
    if known and known != name:
        return f"; `import {name}` comes with {known}"
    near = get_close_matches(name, list(catalog.lock), 3, 0.8)
    return f"; did you mean {' or '.join(near)}?" if near else ""
