"""What can be read out of the heads linearly: ridge maps that are judged on texts and token types they never saw."""

from headscope.reading.lens import LinearLens, Origin
from headscope.reading.scores import Controlled, Scores
from headscope.studies.probes.fit import fit_lens
from headscope.studies.probes.offsets import Recovery, recovery
from headscope.studies.probes.unseen import held_out

__all__ = ["Controlled", "LinearLens", "Origin", "Recovery", "Scores", "fit_lens", "held_out", "recovery"]
