"""What can be read out of the heads linearly: ridge maps that are judged on texts and token types they never saw."""

from headscope.probes.figures import Controlled, Scores
from headscope.probes.fit import fit_lens
from headscope.probes.held_out import held_out
from headscope.probes.lens import LinearLens, Origin
from headscope.probes.recovery import Recovery, recovery

__all__ = ["Controlled", "LinearLens", "Origin", "Recovery", "Scores", "fit_lens", "held_out", "recovery"]
