"""Say which tests of the page were skipped, and fail if any was: `python .ci/skipped.py tests.xml`."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
# A module that is skipped as a whole has its name in `name`, and no class.
page = [case for case in cases if f"{case.get('classname')} {case.get('name')}".find("tests.app") >= 0]
skipped = [case for case in page if case.find("skipped") is not None]
for case in skipped:
    print(f"{case.get('classname')}::{case.get('name')}: {case.find('skipped').get('message')}")
if skipped:
    sys.exit(f"{len(skipped)} of {len(page)} tests of the page were skipped")
if Path("tests/app").is_dir() and not page:
    sys.exit("no test of the page was run")
print(f"none of {len(page)}")
