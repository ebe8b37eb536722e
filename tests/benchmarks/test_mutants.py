"""The mutants of the benchmark change code, one line of it, and are caught by the tests that fail or hang."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

mutants = pytest.importorskip("benchmarks.checkers.mutants")


def test_mutants_change_one_line_of_code_and_never_words() -> None:
    drawn = mutants.drawn(40, 1)
    assert drawn == mutants.drawn(40, 1) != mutants.drawn(40, 2)
    for mutant in drawn:
        ast.parse(mutant.text)
        before = ast.parse((mutants.ROOT / mutant.path).read_text())
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(before)
        assert mutant.difference()


def test_every_kind_of_change_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    code = '''
__all__ = ["f" + "g"]
if TYPE_CHECKING:
    limit = 1 + 1
def f(x: Literal[1], flag=True):
    """Not 1 + 1."""
    if x < 0.5 and not flag:
        raise ValueError(f"{x + 1} is" + "small")
    return [-y for y in x if y is not None]
'''
    (tmp_path / "m.py").write_text(code)
    found = [mutant.difference().splitlines()[-1].strip("+ ") for mutant in mutants.mutants_of(Path("m.py"))]
    assert sorted(found) == sorted(
        [
            "def f(x: Literal[1], flag=False):",
            "if (not (x < 0.5 and (not flag))):",
            "if (x < 0.5 or not flag):",
            "if (x <= 0.5) and not flag:",
            "if x < 0.515 and not flag:",
            "if x < 0.5 and (flag):",
            "return [(y) for y in x if y is not None]",
            "return [-y for y in x if (y is None)]",
            "return [-y for y in x if (not (y is not None))]",
        ]
    )


def test_a_mutant_is_caught_by_a_test_that_fails_and_by_one_that_hangs() -> None:
    path = Path("tinygrad_kr/engine/tree.py")
    text = (mutants.ROOT / path).read_text()
    wrong = mutants.Mutant(path, 24, text.replace("return f(tree, *others)", "return None"))
    outcome = mutants.tried(wrong, ("test_transforms",), 60)
    assert not outcome.survived and "test_transforms.py" in outcome.by
    hanging = mutants.Mutant(path, 24, text.replace("return f(tree, *others)", "while True: pass"))
    outcome = mutants.tried(hanging, ("test_transforms",), 3)
    assert not outcome.survived and "still running" in outcome.by
