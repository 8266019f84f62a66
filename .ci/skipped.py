"""Say what was skipped, and fail where it was a test of the page, or for a reason that is not among these:
`python .ci/skipped.py tests.xml`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

EXPECTED = (
    "needs a GPU",
    r"(bitsandbytes|torchao|hqq) is not installed \(\.ci/packed runs what needs it\)",
    "TransformerLens is not installed",
    "no JupyterLab in this environment",
    # Data beside the checkout.
    "no corpus at ",
    "no real (decoder )?weights at ",
    # This machine: the tests are run by root, and may ask the Hub.
    "root may write everywhere",
    "the Hub may be asked",
    # Of the cases of a test, those that there cannot be.
    "the stacks of an encoder-decoder have a test of their own",
    "a decoder alone is given nothing to attend to",
    "a decoder's text always begins with its start token",
    "no final norm on the residual stream",
    "a table of why is refused",
)


def named(case: ElementTree.Element) -> str:
    """A module that is skipped as a whole has its name in `name`, and no class."""
    return f"{case.get('classname')}::{case.get('name')}"


def reason(case: ElementTree.Element) -> str | None:
    """Where and why a test was skipped: the text of the element, whose message says of a module only that it was."""
    told = case.find("skipped")
    return None if told is None else str(told.text)


cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
page = [case for case in cases if "tests.app" in named(case)]
skipped = [(case, why) for case in cases if (why := reason(case)) is not None]
wrong = [(case, why) for case, why in skipped if case in page or not re.search("|".join(EXPECTED), why)]
for case, why in wrong:
    print(f"{named(case)}: {why}")
if wrong:
    sys.exit(f"{len(wrong)} tests were skipped that have to be run here")
if Path("tests/app").is_dir() and not page:
    sys.exit("no test of the page was run")
print(f"none of {len(page)} of the page; of {len(cases)} in all {len(skipped)}, for reasons that are known")
