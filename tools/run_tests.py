#!/usr/bin/env python3
"""Run the test suites one after another and add up what passed and failed.

    run_tests.py BUILD_DIR [SUITE...]       run (all suites when none is named)
    run_tests.py BUILD_DIR --summary        only add up the reports of the last run

Every suite writes a JUnit report into BUILD_DIR/reports/, and the last line is `N passed, N failed`
over all of them. A suite that dies without a report counts as one failure, and so does a test that
skips itself: a promise that was not checked was not kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# In the order of what breaks first: C units, the tools, the guest's Python, then the whole.
SUITES = ("unit", "tools", "runner", "system", "attack", "check")
SUITE_SECONDS_MAX = 3000


def run_suite(suite: str, build: Path, reports: Path) -> None:
    """Run one suite; its own output goes straight to the terminal."""
    print(f"\n=== {suite}", flush=True)
    report = reports / f"{suite}.xml"
    if suite == "unit":
        command = ["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs"]
        command += ["--num-processes", "1"]  # some of them measure time
    elif suite == "check":
        command = [sys.executable, "tools/check.py", str(build), str(report)]
    else:
        command = [sys.executable, "-m", "pytest", f"tests/{suite}", "-q", "--durations=5"]
        command += [f"--junitxml={report}", "-o", f"junit_suite_name={suite}"]
    environment = {**os.environ, "VITRINE_BUILD": str(build)}
    try:
        status = subprocess.run(
            command, cwd=REPOSITORY, env=environment, timeout=SUITE_SECONDS_MAX, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        status = -1
    if suite == "unit":
        shutil.copy(build / "meson-logs" / "testlog.junit.xml", report)
    if status != 0 and (not report.exists() or not count(report)[1]):
        write_failure(report, suite, f"the suite ended with status {status}")


def write_failure(report: Path, suite: str, text: str) -> None:
    """A report of one failure, for a suite that could not make its own."""
    print(f"{suite}: {text}", flush=True)
    root = ElementTree.Element("testsuite", name=suite)
    case = ElementTree.SubElement(root, "testcase", name="the suite itself")
    ElementTree.SubElement(case, "failure", message=text)
    ElementTree.ElementTree(root).write(report)


def count(report: Path) -> tuple[int, int]:
    """Passed and failed tests of one report."""
    passed = failed = 0
    for case in ElementTree.parse(report).iter("testcase"):
        if any(case.find(outcome) is not None for outcome in ("failure", "error", "skipped")):
            failed += 1
        else:
            passed += 1
    return passed, failed


def summarize(reports: Path) -> int:
    """Print a line for each suite and the closing line; the status is 1 when anything failed."""
    print("\n=== summary")
    passed_sum = failed_sum = 0
    for report in sorted(reports.glob("*.xml")):
        passed, failed = count(report)
        print(f"{report.stem}: {passed} passed, {failed} failed")
        passed_sum += passed
        failed_sum += failed
    print(f"{passed_sum} passed, {failed_sum} failed", flush=True)
    return 1 if failed_sum or not passed_sum else 0


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Run the test suites and add up the results.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], help="which; all when none")
    parser.add_argument("--summary", action="store_true", help="add up the last run's reports")
    options = parser.parse_args()
    build: Path = options.build.absolute()
    reports = build / "reports"
    if not options.summary:
        shutil.rmtree(reports, ignore_errors=True)
        reports.mkdir(parents=True)
        for suite in options.suites or SUITES:
            if suite in ("unit", "check") or any(
                (REPOSITORY / "tests" / suite).glob("**/test_*.py")
            ):
                run_suite(suite, build, reports)
    return summarize(reports)


if __name__ == "__main__":
    sys.exit(main())
