"""This checkout against an earlier commit of itself: the same work in both, turn by turn, and the ratio with its bound.

`python -m benchmarks.against COMMIT [NAME …] [--pairs 20]`. Each side is a process of its own that stays, on the demo
weights, and is asked for one round after the other; who goes first changes from pair to pair. Only the public contract
is called, so that every commit that has it can be compared.
"""

from __future__ import annotations

import argparse
import atexit
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
TEXT = "Time flies like an arrow, fruit flies like a banana and nobody knows where either of them lands"
SENTENCES = [f"{TEXT[n % 40 :]} {n}" for n in range(64)]


def click() -> Callable[[], object]:
    """Both tables of every token of a text, at the next layer."""
    from headscope import Scope

    reading, layers = Scope.from_pretrained("demo").read(TEXT), count()

    def work() -> None:
        layer = next(layers) % len(reading.z)
        for token in range(1, 13):
            reading.nearest(token, layer)
            reading.nearest_positions(token, layer)

    return work


def atlas() -> Callable[[], object]:
    """A new text, and every layer and head at three of its tokens."""
    from headscope import Scope

    scope, texts = Scope.from_pretrained("demo"), count()

    def work() -> None:
        reading = scope.read(f"{TEXT} {next(texts)}")
        for token in (1, 5, 9):
            reading.atlas(token)

    return work


def corpus() -> Callable[[], object]:
    """Texts read in batches."""
    from headscope import Scope

    scope = Scope.from_pretrained("demo")
    return lambda: scope.read_many(SENTENCES)


def survey() -> Callable[[], object]:
    """A whole survey by the command line's own function, in a new directory."""
    try:
        from headscope.commands.cli import main
    except ImportError:  # before the command line moved
        from headscope.cli import main  # type: ignore[import-not-found, no-redef]

    place = Path(tempfile.mkdtemp())
    texts, runs = place / "texts.txt", count()
    texts.write_text("\n".join(SENTENCES), "utf-8")

    def work() -> None:
        with suppress(SystemExit):
            main(["survey", str(texts), "-o", str(place / str(next(runs))), "--model", "demo", "-y"])

    return work


def page() -> Callable[[], object]:
    """The page's own bytes, and a new text's clicks, from a server in a process of its own."""
    import re

    import httpx

    command = [sys.executable, "-m", "headscope", "serve", "--model", "demo", "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    assert server.stdout is not None
    address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
    client, texts = httpx.Client(base_url=address, timeout=60), count()

    def work() -> None:
        client.get("/").raise_for_status()
        text = f"{TEXT} {next(texts)}"
        for token in range(1, 9):
            client.post("/api/v1/nearest", json={"text": text, "token": token, "layer": 2}).raise_for_status()

    return work


WORKS = {work.__name__: work for work in (click, atlas, survey, corpus, page)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WORKS))
    parser.add_argument("--pairs", type=int, default=20)
    options = parser.parse_args()
    with _checkout(options.commit) as before:
        for name in options.names or WORKS:
            print(json.dumps({name: compare(name, before, options.pairs)}), flush=True)


def compare(name: str, before: Path, pairs: int) -> dict[str, float]:
    """The ratio now / before: its median, and the upper end of a one-sided 95 % interval of it."""
    with ExitStack() as stack:
        sides = [stack.enter_context(_side(name, tree)) for tree in (ROOT, before)]
        for _ in range(2):  # not counted
            for run in sides:
                run()
        ratios = []
        for pair in range(pairs):
            order = (0, 1) if pair % 2 else (1, 0)
            took = dict.fromkeys(order, 0.0)
            for side in order:
                took[side] = sides[side]()
            ratios.append(took[0] / took[1])
    ratios.sort()
    return {"median": statistics.median(ratios), "at most": ratios[_upper(pairs)], "pairs": pairs}


def _upper(pairs: int) -> int:
    """The order statistic that the median lies below with 95 % probability (binomial)."""
    below = 0.0
    for n in range(pairs):
        below += math.comb(pairs, n) / 2**pairs
        if below >= 0.95:
            return n
    return pairs - 1


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(tree), commit], check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)


@contextmanager
def _side(name: str, tree: Path) -> Iterator[Callable[[], float]]:
    """A process that works in `tree` when it is asked, and says how many seconds it took."""
    with tempfile.TemporaryDirectory() as elsewhere:  # the working directory must not stand before the tree
        process = subprocess.Popen(
            [sys.executable, __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=elsewhere,
            env=os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def once() -> float:
            asked.write("again\n")
            asked.flush()
            return float(told.readline())

        try:
            yield once
        finally:
            asked.close()
            process.wait()


def serve(name: str, asked: IO[str], told: IO[str]) -> None:
    """One side: works once for each line that it is sent, and answers with the seconds."""
    work = WORKS[name]()
    for _ in asked:
        start = time.perf_counter()
        work()
        told.write(f"{time.perf_counter() - start}\n")
        told.flush()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in WORKS:
        sys.path.remove(str(Path(__file__).parent))  # this folder's click is not the library of that name
        # What is worked with may print: it goes elsewhere.
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        serve(sys.argv[1], sys.stdin, answers)
    else:
        main()
