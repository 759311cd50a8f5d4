"""The protocol's own conformance suites, each scenario a test, without expected failures.

The suites (two versions of npm's @modelcontextprotocol/conformance: 0.1.16 for 2025-11-25 and
0.2.0-alpha.12 for both eras) call tools, resources and prompts by name that no product has;
vitrine-conformance (tests/conformance/) is the program with those beside its own. A warning of a
suite, which is a SHOULD that we do not keep, fails as well. Scenarios of extensions (tasks, skills)
are for servers that have them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Program, build_folder
from http_server import HttpServer

SCENARIO_SECONDS_MAX = 60
# What both eras have, by the names of the later suite.
COMMON = """
completion-complete tools-list tools-call-simple-text tools-call-image tools-call-audio
tools-call-embedded-resource tools-call-mixed-content tools-call-error tools-call-with-progress
server-sse-multiple-streams resources-list resources-read-text resources-read-binary
resources-templates-read prompts-list prompts-get-simple prompts-get-with-args
prompts-get-embedded-resource prompts-get-with-image dns-rebinding-protection json-schema-2020-12
""".split()
OLD = """
server-initialize logging-set-level ping tools-call-with-logging tools-call-sampling
tools-call-elicitation elicitation-sep1034-defaults elicitation-sep1330-enums server-sse-polling
resources-subscribe resources-unsubscribe
""".split()
NEW = """
server-stateless sep-2164-resource-not-found caching http-header-validation
http-custom-header-server-validation
input-required-result-basic-elicitation input-required-result-basic-sampling
input-required-result-basic-list-roots input-required-result-request-state
input-required-result-multiple-input-requests input-required-result-multi-round
input-required-result-missing-input-response input-required-result-non-tool-request
input-required-result-result-type input-required-result-unsupported-methods
input-required-result-tampered-state input-required-result-capability-check
input-required-result-ignore-extra-params input-required-result-validate-input
""".split()

FIRST_SUITE = "conformance-2025"
SECOND_SUITE = "conformance-2026"


def all_runs() -> list[Any]:
    """Suite, revision and scenario of every test."""
    runs = [(FIRST_SUITE, "2025-11-25", name) for name in COMMON + OLD]
    later = [*COMMON, *OLD, "server-session-lifecycle"]
    runs += [(SECOND_SUITE, "2025-11-25", name) for name in later]
    runs += [(SECOND_SUITE, "2026-07-28", name) for name in COMMON + NEW]
    return [pytest.param(*run, id="-".join(run).replace("conformance-", "")) for run in runs]


def suite_program(suite: str) -> list[str]:
    modules = Path(os.environ["VITRINE_TEST_NODE_MODULES"])
    return [os.environ["VITRINE_TEST_NODE"], str(modules / suite / "dist" / "index.js")]


@pytest.fixture(scope="module")
def conformance_server() -> Iterator[HttpServer]:
    program = Program(build_folder() / "tests/conformance/vitrine-conformance")
    with HttpServer(program) as server:
        yield server


def checks_of(suite: str, revision: str, scenario: str, url: str, folder: Path) -> list[Any]:
    """Run a scenario; what it checked."""
    command = [*suite_program(suite), "server", "--url", url, "--scenario", scenario]
    command += ["--output-dir", str(folder)]
    if suite == SECOND_SUITE:
        command += ["--spec-version", revision]
    done = subprocess.run(command, capture_output=True, timeout=SCENARIO_SECONDS_MAX, check=False)
    found = list(folder.glob("**/checks.json"))
    assert len(found) == 1, (done.stdout + done.stderr).decode()
    return json.loads(found[0].read_text())


@pytest.mark.parametrize(("suite", "revision", "scenario"), all_runs())
def test_scenario(
    conformance_server: HttpServer, tmp_path: Path, suite: str, revision: str, scenario: str
) -> None:
    checks = checks_of(suite, revision, scenario, conformance_server.url, tmp_path)
    bad = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
    told = [{key: check.get(key) for key in ("id", "status", "errorMessage")} for check in bad]
    assert not bad, json.dumps(told, indent=2)
    assert any(check["status"] == "SUCCESS" for check in checks), checks


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_nothing_that_a_revision_requires_is_left_out(revision: str) -> None:
    """The suite's own lists, against ours."""
    command = [*suite_program(SECOND_SUITE), "list", "--server", "--requirements", revision]
    listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    required = listed.partition("Server scenarios")[2].partition("\n\n")[0]
    names = {line.removeprefix("  - ") for line in required.splitlines() if line.startswith("  - ")}
    ours = {run.values[2] for run in all_runs() if run.values[:2] == (SECOND_SUITE, revision)}
    assert len(names) >= 30
    assert names <= ours


def test_nothing_of_the_first_suite_is_left_out() -> None:
    listed = subprocess.run(
        [*suite_program(FIRST_SUITE), "list", "--server"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    names = {line.split()[1] for line in listed.splitlines() if line.startswith("  - ")}
    assert names == {run.values[2] for run in all_runs() if run.values[0] == FIRST_SUITE}
