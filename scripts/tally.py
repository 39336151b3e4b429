"""Adds up pytest's reports and says in one line how many tests ran. Exit code 1 when none passed or one failed."""

import sys
from xml.etree import ElementTree


def tally(reports: list[str]) -> tuple[int, int, int]:
    """(passed, failed, skipped) over the JUnit files `reports`; an error in a set-up counts as failed."""
    passed = failed = skipped = 0
    for report in reports:
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            idle = int(suite.get("skipped", 0))
            failed += bad
            skipped += idle
            passed += int(suite.get("tests", 0)) - bad - idle
    return passed, failed, skipped


if __name__ == "__main__":
    passed, failed, skipped = tally(sys.argv[1:])
    print(f"\ntotal: {passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)
