"""Makes the figures of the demo weights that come with headscope, by the test that the page's button starts.

python docs/tested_demo.py [DIRECTORY]    (the package's own by default; minutes on two cores)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from headscope import Scope
from headscope.studies.survey.run import Survey
from headscope.studies.tested.figures import keep_figures
from headscope.studies.tested.question import NULLS, OPTIONS, SENTENCES
from headscope.studies.tested.there import SENT_ALONG, folder_of

if __name__ == "__main__":
    scope = Scope.from_pretrained("demo")
    place = Path(sys.argv[1] if len(sys.argv) > 1 else SENT_ALONG) / folder_of(scope.card.weights_sha256)
    with tempfile.TemporaryDirectory() as begun:
        survey = Survey.prepare(scope, [SENTENCES], begun, OPTIONS)
        survey.run(NULLS)
        keep_figures(survey.directory, place)
    print(place)
