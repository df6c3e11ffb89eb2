"""Whoever reads a public dataclass finds under each field what it holds; only what begins with `_` explains itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

ASIDE = {"bench", "benchmarks", "testing"}
"""Rooms that measure and try the others."""


def is_public_dataclass(node: ast.AST) -> bool:
    decorated = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    return decorated and any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def fields_of(shape: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    """Name of each public field, and whether a docstring is under it."""
    for statement, after in zip(shape.body, [*shape.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or "ClassVar" in ast.unparse(statement.annotation):
            continue
        name = ast.unparse(statement.target)
        if not name.startswith("_"):
            says = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            yield name, says and isinstance(after.value.value, str) and bool(after.value.value.strip())


def found() -> dict[str, bool]:
    """Each public field of a public dataclass, by file, class and name."""
    return {
        f"{file.relative_to(ROOT)}: {shape.name}.{name}": explained
        for room in ("evosearch", "workers")
        for file in sorted((ROOT / room).rglob("*.py"))
        if not ASIDE & set(file.relative_to(ROOT).parts)
        for shape in ast.walk(ast.parse(file.read_text()))
        if is_public_dataclass(shape)
        for name, explained in fields_of(shape)
    }


def test_each_field_of_a_public_dataclass_has_a_docstring_under_it():
    lacking = [place for place, explained in found().items() if not explained]
    assert not lacking, "no docstring is under\n" + "\n".join(lacking)


def test_a_field_without_one_is_noticed():
    shape = ast.parse(
        "@dataclass(frozen=True)\nclass A:\n    x: int\n    y: int\n    'In pixels.'\n    _z: int\n"
    ).body[0]
    assert is_public_dataclass(shape)
    assert dict(fields_of(shape)) == {"x": False, "y": True}


def test_the_fields_of_all_rooms_are_looked_at():
    rooms = {place.split(":")[0].split("/")[-2] for place in found()}
    assert {"genome", "blueprint", "evaluation", "search", "journal", "machine", "worker", "config"} <= rooms
