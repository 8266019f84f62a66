"""A heap of the highest values seen, compiled: the least of them stands first, and makes way."""

from headscope.neighbors.scan.numba_jit import jit


@jit("contract", "reassoc", "nsz")
def push(heap, value, tokens=None, token=0):  # type: ignore[no-untyped-def]
    """Replace the least of a heap by a value; in `tokens`, where they are kept beside it, its token by this one."""
    k, i = len(heap), 0
    while 2 * i + 1 < k:
        child = 2 * i + 1
        if child + 1 < k and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        if tokens is not None:  # decided as it is compiled
            tokens[i] = tokens[child]
        i = child
    heap[i] = value
    if tokens is not None:
        tokens[i] = token
