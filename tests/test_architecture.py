"""The parts, their floors and what each may import: the table of docs/architecture.md, checked on the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "headscope"
HEAVY = {"torch", "transformers", "numpy", "numba", "pandas", "pyarrow", "huggingface_hub", "fastapi", "uvicorn"}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__") for path in FILES
}
# `headscope --help` loads these, and what they import at their head.
LIGHT = ("headscope", "headscope.__main__", "headscope.commands.cli")


def module_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def imports(node: ast.AST, deferred: bool = False) -> Iterator[tuple[str, bool]]:
    """Every name that is imported below `node`, those for types alone too, and whether only when a function runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            yield from ((f"{child.module}.{alias.name}", deferred) for alias in child.names)
        else:
            for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) or for_types
            yield from imports(child, deferred or later)


# What the package's own door hands on, and where it has it from: whoever takes it there imports that.
HANDED_ON = {
    name.rpartition(".")[2]: name.rpartition(".")[0]
    for name, _ in imports(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
}


def modules(path: Path) -> dict[str, bool]:
    """The modules of headscope that a file imports, and whether only when a function runs, or for types."""
    found: dict[str, bool] = {}
    for name, deferred in imports(ast.parse(path.read_text("utf-8"))):
        if name.split(".")[0] == "headscope":
            module, _, last = name.rpartition(".")
            meant = name if name in MODULES else HANDED_ON.get(last, module) if module == "headscope" else module
            found[meant] = found.get(meant, True) and deferred
    return found


def part_of(module: str) -> str:
    """The folder or the module at the root that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def table() -> dict[str, tuple[int, set[str]]]:
    """Part → its floor, and the parts that it may import, from the table in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)[/.\w]*` \|[^|]*\| (.*) \|$", text, re.MULTILINE)
    below: dict[str, tuple[int, set[str]]] = {}
    for floor, part, allowed in rows:
        lower = {name for name, (number, _) in below.items() if number < int(floor)}
        below[part] = int(floor), lower if allowed == "all below" else set(re.findall(r"`(\w+)`", allowed))
    return below


OPEN = {"__init__", "__main__"}  # the package's own door, which has the version besides what it hands on


def test_what_the_door_hands_on_is_imported_from_where_it_is(tmp_path):
    path = tmp_path / "below.py"
    path.write_text("from headscope import InputError, Scope, __version__\n", "utf-8")
    assert set(modules(path)) == {"headscope.errors", "headscope.scope", "headscope"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_part_imports_only_what_the_table_allows(path):
    part = part_of(module_of(path))
    if part in OPEN:
        return
    assert part in table(), f"docs/architecture.md has no row for {part}"
    named = {part_of(module) for module in modules(path)} - {"__init__", part}
    assert named <= table()[part][1]


def test_every_import_looks_down():
    for part, (floor, allowed) in table().items():
        for other in allowed:
            assert table()[other][0] < floor, f"{part} may not import {other}"


def circle(files: list[Path]) -> list[str]:
    """Modules that import each other in a circle; none where there is no circle."""
    graph = {module_of(path): set(modules(path)) - {module_of(path), "headscope"} for path in files}
    try:
        TopologicalSorter({module: others & set(graph) for module, others in graph.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.slow
def test_no_files_import_each_other_in_a_circle():
    assert circle(FILES) == []


def test_a_class_name_has_one_meaning():
    names = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name in names if names.count(name) > 1} <= {"View"}  # which the reference and a benchmark have


def test_nothing_stands_loose_in_the_root():
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "errors.py", "scope.py"}


def test_the_table_names_no_part_that_is_gone():
    assert set(table()) == {part_of(module_of(path)) for path in FILES} - OPEN


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_model_part_and_scope_know_transformers(path):
    known = {"transformers", "huggingface_hub", "tokenizers"}
    if part_of(module_of(path)) not in {"model", "scope"}:
        assert not known & {name.split(".")[0] for name, _ in imports(ast.parse(path.read_text("utf-8")))}


def test_what_help_loads_brings_no_heavy_library():
    places = {module_of(path): path for path in FILES}
    waiting, loaded = list(LIGHT), set()
    while waiting:
        module = waiting.pop()
        if module in loaded:
            continue
        loaded.add(module)
        now = {name for name, deferred in imports(ast.parse(places[module].read_text("utf-8"))) if not deferred}
        assert not HEAVY & {name.split(".")[0] for name in now}, module
        waiting += [name for name, deferred in modules(places[module]).items() if not deferred]


@pytest.mark.parametrize("part", ["question", "show"])
def test_words_and_what_is_shown_know_no_tensor(part):
    for path in (PACKAGE / part).rglob("*.py"):
        now = {name.split(".")[0] for name, _ in imports(ast.parse(path.read_text("utf-8")))}
        assert not now & {"torch", "transformers"}, path
