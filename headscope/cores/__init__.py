"""The processor's cores: how many may be used, and large pieces of work on them, each on one thread.

Nothing here waits for threads to meet: where another program computes too, each meeting would take a time slice.
"""

from headscope.cores.count import usable
from headscope.cores.one_thread import alone
from headscope.cores.pool import spread, threads

__all__ = ["alone", "spread", "threads", "usable"]
