"""From requirements to a plan, by pip's own resolver: a program that runs in the resolver's cell.

It is run as any program is, in the environment that holds pip:

    from vitrine import resolve
    resolve.main(job)

``job`` is {"requirements": [text], "guesses": [name], "constraints": [text], "allow": null or
[{"name", "versions", "sha256"}], "use_lock": true}. The value is the plan, {"packages": [{"name",
"version", "sha256", "filename", "requested"}], "dropped": [{"name", "reason", "temporary"}],
"log": [line]}, or {"error", "hint", "log"}.

What pip does is what ``pip install --dry-run --only-binary :all:`` does, with one index. No wheel
is downloaded and nothing is built: METADATA is all that a resolution looks at. A requirement that
cannot be met is an error; a guess that cannot be met is dropped.
"""

import logging
from contextlib import contextmanager
from functools import partial

from pip._internal.exceptions import DistributionNotFound, InstallationError, PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.format_control import FormatControl
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.operations.prepare import RequirementPreparer
from pip._internal.req.constructors import install_req_from_req_string
from pip._internal.req.req_install import InstallRequirement
from pip._internal.resolution.resolvelib.resolver import Resolver
from pip._internal.utils.temp_dir import global_tempdir_manager, tempdir_registry
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.resolvelib import ResolutionImpossible

from vitrine import hints, requirements
from vitrine.catalog import (
    INDEX,
    PACKAGES_MAX,
    Catalog,
    ExhaustedError,
    FetchError,
    LockedWheelError,
    make_session,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ERROR_CHARS_MAX = 8000
_LOG_LINES_MAX = 400
_LOG_LINE_CHARS_MAX = 500
_ONE_BY_ONE_MAX = 32  # guesses that are tried alone when not all can be met together


class _Log(logging.Handler):
    """Keeps what pip says, as lines."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.critical: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        text = record.getMessage()
        if record.levelno >= logging.CRITICAL:
            self.critical.append(text[:_ERROR_CHARS_MAX])
        elif record.levelno >= logging.WARNING:
            self.warnings = [*self.warnings[-3:], text[:_LOG_LINE_CHARS_MAX]]
        for line in text.splitlines():
            if line.strip():
                self.add(line)

    def add(self, line: str) -> None:
        """Add a line, while there is room."""
        if len(self.lines) < _LOG_LINES_MAX:
            self.lines.append(line[:_LOG_LINE_CHARS_MAX])


class _Preparer(RequirementPreparer):
    """Prepares from METADATA alone."""

    def _prepare_linked_requirement(
        self, req: InstallRequirement, parallel_builds: bool
    ) -> None:  # what pip calls where there is no METADATA: for addresses, to download them
        raise InstallationError(f"{req} names a file outside of the package index")


def main(job: dict) -> dict:
    """Resolve a job to its plan."""
    log = _Log()
    with _listening(log):
        try:
            plan = _Resolution(job, log).run()
        except _FailedError as failed:
            plan = {"error": failed.reason, "hint": failed.hint}
        except (ExhaustedError, MemoryError) as error:
            plan = {
                "error": f"the resolution was given up: {type(error).__name__}: {error}",
                "hint": "name exact versions, or fewer packages",
            }
    return {**plan, "log": log.lines}


@contextmanager
def _listening(log: _Log) -> "Iterator[None]":
    logger = logging.getLogger("pip")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(log)
    try:
        with global_tempdir_manager(), tempdir_registry():
            yield
    finally:
        logger.removeHandler(log)


class _FailedError(Exception):
    def __init__(self, reason: str, hint: str = "", temporary: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason[:_ERROR_CHARS_MAX]
        self.temporary = temporary
        self.hint = hint[:_ERROR_CHARS_MAX]


class _Resolution:
    def __init__(self, job: dict, log: _Log) -> None:
        self._log = log
        self._catalog = Catalog(job.get("allow"), job.get("use_lock", True))
        self._session = make_session(self._catalog)
        try:
            self._required = requirements.check_all(job["requirements"])
            self._guesses = requirements.check_all(job["guesses"])
            self._constraints = requirements.check_all(job.get("constraints", []))
        except ValueError as error:
            raise _FailedError(str(error)) from None
        self._dropped: list[dict] = []

    def run(self) -> dict:
        """Resolve, with as many guesses as can be met."""
        self._catalog.moved = self._excluded(self._required)
        self._catalog.ask_ahead([requirements.name_of(t) for t in self._required + self._guesses])
        guesses = [guess for guess in self._guesses if self._is_usable(guess)]
        try:
            found = self._solve(self._required + guesses)
        except _FailedError:
            if not guesses:
                raise
            found = self._solve_one_by_one(guesses)
        packages = [self._describe(ireq) for ireq in found]
        if len(packages) > PACKAGES_MAX:
            raise _FailedError(
                f"{len(packages)} packages are more than the {PACKAGES_MAX} that one "
                "environment may have"
            )
        packages.sort(key=lambda package: canonicalize_name(package["name"]))
        self._dropped.sort(key=lambda dropped: dropped["name"])
        return {"packages": packages, "dropped": self._dropped}

    def _is_usable(self, guess: str) -> bool:
        """Whether there is any wheel of a guessed project; drops it otherwise."""
        try:
            while True:
                try:
                    if self._finder().find_all_candidates(guess):
                        self._try_metadata(guess)
                        return True
                    break
                except LockedWheelError as error:  # its page is the index's from now on
                    self._log.add(f"the distribution's wheel of {error}")
            reason = hints.why_unusable(self._catalog, guess)
            temporary = self._catalog.undelivered.get(guess, ("", False))[1]
        except FetchError as error:
            reason, temporary = str(error), error.temporary
        except (ExhaustedError, MemoryError):
            raise
        except Exception as error:  # a page that pip cannot read
            reason, temporary = _say(error), False
        self._drop(guess, reason, temporary)
        return False

    def _try_metadata(self, guess: str) -> None:
        """Find out early whether the lock file's wheel of a guess can be had."""
        if locked := self._catalog.locked(guess):
            self._catalog.metadata(guess, locked.sha256)

    def _drop(self, guess: str, reason: str, temporary: bool = False) -> None:
        self._log.add(f"not installed: {guess}: {reason}")
        self._dropped.append(
            {"name": guess, "reason": reason[:_ERROR_CHARS_MAX], "temporary": temporary}
        )

    def _solve_one_by_one(self, guesses: list[str]) -> list[InstallRequirement]:
        """Add guesses to the requirements, each as long as all can be met."""
        kept: list[str] = []
        found = self._solve(self._required)
        for guess in guesses[:_ONE_BY_ONE_MAX]:
            try:
                found = self._solve(self._required + kept + [guess])
                kept.append(guess)
            except _FailedError as failed:
                self._drop(guess, failed.reason, failed.temporary)
        for guess in guesses[_ONE_BY_ONE_MAX:]:
            self._drop(guess, "too many imports cannot be met together")
        return found

    def _solve(self, texts: list[str]) -> list[InstallRequirement]:
        """Resolve; where the lock file stands in the way, with some of its projects moved."""
        catalog = self._catalog
        excluded = self._excluded(texts)
        catalog.trusts_lock = False
        try:
            catalog.moved = set(excluded)
            return self._solve_moving(texts)
        except _FailedError:
            if catalog.moved == excluded:
                raise
            try:  # where the index does not help, the distribution's own choice has to do
                catalog.moved = excluded
                catalog.trusts_lock = True
                return self._solve_moving(texts)
            except _FailedError:
                pass
            raise

    def _solve_moving(self, texts: list[str]) -> list[InstallRequirement]:
        catalog = self._catalog
        first: _FailedError | None = None
        while True:
            self._log.critical.clear()
            self._log.warnings.clear()
            try:
                return self._attempt(texts)
            except LockedWheelError as error:
                self._log.add(f"the distribution's wheel of {error}")
            except FetchError as error:
                hint = hints.for_fetch(error)
                raise first or _FailedError(str(error), hint, error.temporary) from None
            except (ExhaustedError, MemoryError):
                raise
            except Exception as error:  # pip's own errors, and what hostile metadata provokes
                failed = self._explain(error)
                first = first or failed
                movable = self._movable(error)
                if not movable:
                    raise first from None
                self._log.add(f"from the package index instead: {', '.join(sorted(movable))}")
                catalog.moved |= movable

    def _excluded(self, texts: list[str]) -> set[str]:
        """Find the projects of the lock file that are required in another version."""
        found = set()
        for text in texts + self._constraints:
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            locked = self._catalog.lock.get(name)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if locked and applies and not requirement.specifier.contains(locked.version, True):
                found.add(name)
        return found

    def _movable(self, error: Exception) -> set[str]:
        """Choose projects of the lock file whose other versions may resolve a conflict.

        Those that are wanted in another version first, pure Python before compiled.
        """
        impossible = error.__cause__
        if not isinstance(impossible, ResolutionImpossible):
            return set()
        wanted = {cause.requirement.project_name for cause in impossible.causes}
        wanting = {cause.parent.project_name for cause in impossible.causes if cause.parent}
        for names in (wanted, wanting):
            locked = {name: self._catalog.locked(name) for name in names}
            pure = {name for name, entry in locked.items() if entry and entry.is_pure}
            if pure:
                return pure
        return {name for name in wanted | wanting if self._catalog.locked(name)}

    def _finder(self) -> PackageFinder:
        return PackageFinder.create(
            link_collector=LinkCollector(
                session=self._session,
                search_scope=SearchScope.create(find_links=[], index_urls=[INDEX], no_index=False),
            ),
            selection_prefs=SelectionPreferences(
                allow_yanked=True, format_control=FormatControl(set(), {":all:"})
            ),
        )

    def _attempt(self, texts: list[str]) -> list[InstallRequirement]:
        finder = self._finder()
        preparer = _Preparer(
            build_dir="/tmp",
            download_dir=None,
            src_dir="/tmp",
            build_isolation="off",
            build_isolation_installer=None,
            check_build_deps=False,
            build_tracker=None,
            session=self._session,
            progress_bar="off",
            finder=finder,
            require_hashes=False,
            use_user_site=False,
            lazy_wheel=False,
            verbosity=0,
            legacy_resolver=False,
            allow_editables=False,
        )
        resolver = Resolver(
            preparer=preparer,
            finder=finder,
            wheel_cache=None,
            make_install_req=partial(install_req_from_req_string, isolated=True),
            use_user_site=False,
            ignore_dependencies=False,
            only_dependencies=False,
            ignore_installed=True,
            ignore_requires_python=False,
            force_reinstall=False,
            upgrade_strategy="to-satisfy-only",
        )
        asked = [install_req_from_req_string(text, user_supplied=True) for text in texts]
        for text in self._constraints:
            constraint = install_req_from_req_string(text)
            constraint.constraint = True
            asked.append(constraint)
        found = resolver.resolve(asked, check_supported_wheels=True)
        return found.all_requirements

    def _describe(self, ireq: InstallRequirement) -> dict:
        dist = ireq.get_dist()
        asked = {requirements.name_of(text) for text in self._required + self._guesses}
        return {
            "name": dist.raw_name,
            "version": str(dist.version),
            "sha256": ireq.link.url.rsplit("/", 2)[1],
            "filename": ireq.link.filename,
            "requested": canonicalize_name(dist.raw_name) in asked,
        }

    def _explain(self, error: Exception) -> _FailedError:
        """Say why pip failed, and what can be done."""
        reason = _say(error)
        impossible = error.__cause__
        wants: list[tuple[str, str]] = []
        if isinstance(impossible, ResolutionImpossible):
            wants = [
                (cause.requirement.project_name, str(cause.requirement))
                for cause in impossible.causes
            ]
            if len(impossible.causes) > 1:
                lines = [_say_cause(cause) for cause in impossible.causes]
                reason = "\n".join([*self._log.critical[-1:], *sorted(set(lines))])
            elif isinstance(error, DistributionNotFound):
                reason = "\n".join([*self._log.warnings, *self._log.critical[-1:], reason])
        found = []
        for name, want in () if self._log.warnings else wants:
            try:
                found.append(hints.for_requirement(self._catalog, self._finder(), name, want))
            except (ExhaustedError, MemoryError):
                raise
            except Exception:  # a hint is not worth an error
                continue
        return _FailedError(reason, "\n".join(dict.fromkeys(filter(None, found))))


def _say(error: Exception) -> str:
    """Give an exception's words."""
    if isinstance(error, PipError):
        message = getattr(error, "message", None)
        return str(message) if message else str(error)
    return f"{type(error).__name__}: {error}"


def _say_cause(cause: object) -> str:
    if cause.parent is None:
        return f"  {cause.requirement.format_for_error()} was asked for"
    return (
        f"  {cause.parent.name} {cause.parent.version} depends on "
        f"{cause.requirement.format_for_error()}"
    )
