"""Say which tests of the page were skipped, and fail for every reason but those below: `.ci/skipped.py tests.xml`."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

# Firefox without a window manager has no active window, so it shows no focus.
ALLOWED = ("without a desktop",)

cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
# A module that is skipped as a whole has its name in `name`, and no class.
page = [case for case in cases if f"{case.get('classname')} {case.get('name')}".find("tests.app") >= 0]
skipped = [(case, found.get("message", "")) for case in page if (found := case.find("skipped")) is not None]
for case, reason in skipped:
    print(f"{case.get('classname')}::{case.get('name')}: {reason}")
wrong = [reason for _, reason in skipped if not reason.startswith(ALLOWED)]
if wrong:
    sys.exit(f"{len(wrong)} of {len(page)} tests of the page were skipped, and must not be")
if Path("tests/app").is_dir() and not page:
    sys.exit("no test of the page was run")
print(f"{len(skipped)} of {len(page)}, all allowed")
