"""What each part may import: the table of docs/architecture.md, checked on the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "headscope"
HEAVY = {"torch", "transformers", "numpy", "numba", "pandas", "huggingface_hub", "fastapi", "uvicorn"}
# `headscope --help` loads these.
LIGHT = (
    *("__init__.py", "__main__.py", "commands/cli.py", "question/defaults.py", "errors.py", "question/meanings.py"),
    *(f"commands/{path.name}" for path in sorted((PACKAGE / "commands").glob("*.py"))),
)


def imports(node: ast.AST, deferred: bool = False) -> Iterator[tuple[str, bool]]:
    """Names of the modules imported below `node`, and whether only when a function runs; not those for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield child.module or "", deferred
            if child.module == "headscope":  # `from headscope import cli` may name a part
                parts = {path.stem for path in PACKAGE.iterdir()}
                yield from ((f"headscope.{alias.name}", deferred) for alias in child.names if alias.name in parts)
        else:
            yield from imports(child, deferred or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))


def imported_by(path: Path) -> list[tuple[str, bool]]:
    return list(imports(ast.parse(path.read_text())))


def part_of(path: Path) -> str:
    """The folder or the module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def table() -> dict[str, set[str]]:
    """Part → the parts that it may import, from the table in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)[/.\w]*` \|[^|]*\| (.*) \|$", text, re.MULTILINE)
    return {part: set(re.findall(r"`(\w+)`", allowed)) for part, allowed in rows}


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_part_imports_only_what_the_table_allows(path):
    part = part_of(path)
    if part.startswith("__"):
        return
    assert part in table(), f"docs/architecture.md has no row for {part}"
    named = {name.split(".")[1] for name, _ in imported_by(path) if name.startswith("headscope.")}
    assert named <= table()[part] | {part}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_model_part_and_scope_know_transformers(path):
    known = {"transformers", "huggingface_hub", "tokenizers"}
    if part_of(path) not in {"model", "scope"}:
        assert not known & {name.split(".")[0] for name, _ in imported_by(path)}


@pytest.mark.parametrize("name", LIGHT)
def test_what_help_loads_brings_no_heavy_library(name):
    now = {module for module, deferred in imported_by(PACKAGE / name) if not deferred}
    assert not HEAVY & {module.split(".")[0] for module in now}
    parts = {module.split(".")[1] for module in now if module.startswith("headscope.")}
    assert parts <= {path.split("/")[0].removesuffix(".py") for path in LIGHT}


def test_the_searchs_tensors_come_from_no_model():
    for path in (PACKAGE / "neighbors").rglob("*.py"):
        named = {name for name, _ in imported_by(path)}
        assert all(
            n.startswith(("headscope.neighbors", "headscope.errors", "headscope.question.stopping"))
            for n in named
            if "headscope" in n
        )


def test_views_compute_nothing():
    for path in (PACKAGE / "views").rglob("*.py"):
        assert not HEAVY & {name.split(".")[0] for name, _ in imported_by(path)}


def test_the_table_names_no_part_that_is_gone():
    assert set(table()) <= {part_of(path) for path in FILES} | {"app"}
