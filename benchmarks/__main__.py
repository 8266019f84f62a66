"""Run one benchmark and print it, or write it as JSON."""

import argparse
import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import benchmarks

_HELPERS = {"__main__", "against", "experiment", "made_survey", "models", "tables", "timing"}


def names() -> list[str]:
    """Every module of this package that is a benchmark: it has `run() -> dict`."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in _HELPERS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--json", type=Path, help="write the result to this file")
    parser.add_argument("--model", help="measure with this model, where the benchmark (busy) takes one")
    options = parser.parse_args()
    run = importlib.import_module(f"benchmarks.{options.name}").run
    if options.model is not None and "model" not in inspect.signature(run).parameters:
        parser.error(f"{options.name} has models of its own; --model is for busy")
    result = json.dumps(run() if options.model is None else run(options.model), indent=2)
    if options.json is None:
        print(result)
    else:
        options.json.write_text(result + "\n", "utf-8")


if __name__ == "__main__":
    main()
