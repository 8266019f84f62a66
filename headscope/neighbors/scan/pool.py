"""The threads that compiled work runs on."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    """As many threads as torch uses, one pool for all searches.

    Compiled work lets go of the interpreter's lock; callers on several threads share the cores through
    the pool instead of fighting for them.
    """
    return ThreadPoolExecutor(threads, "headscope-neighbors")
