"""Whether a pass is shared out among torch's threads, or computed by one.

In each of its many operations all threads wait for each other, and where another program has a core, for the end of a
time slice. That is worth it where the operations are as long as that themselves.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from headscope.cores.one_thread import alone, together
from headscope.model.capture.anatomy import Anatomy

_LARGE = 2**30  # multiply-adds of a block: a few milliseconds for each of its products


def shared_if_large(anatomy: Anatomy, tokens: int) -> AbstractContextManager[None]:
    """Torch's own threads for a pass of so many tokens, where its blocks have much to multiply; else one."""
    return together() if anatomy.block_weights * tokens >= _LARGE else alone()
