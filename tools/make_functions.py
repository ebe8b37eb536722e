"""Write docs/functions.md from the catalogue itself: python -m tools.make_functions."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_kr import Tensor, functional
from tinygrad_kr import primitives as catalogue
from tinygrad_kr.engine.dispatch import INSTEAD, NUMPY, PLAIN, indexing
from tinygrad_kr.engine.primitive import Primitive

GROUPS = {
    "elementwise": "Element by element · 원소별",
    "reductions": "Along axes · 축 방향",
    "shaping": "Shape · 모양",
    "indexing": "Indexing · 인덱싱",
    "einsum": "Einstein summation · 아인슈타인 합",
    "linalg": "Linear algebra · 선형 대수",
}
PAGE = Path(__file__).parents[1] / "docs" / "functions.md"


def numpy_name(function: Any) -> str:
    """The name under which users know a NumPy function."""
    if function is indexing:
        return "t[index]"
    where = "np.linalg." if getattr(np.linalg, function.__name__, None) is function else "np."
    return where + function.__name__


def group_of(implementation: Any) -> str:
    """The module of the catalogue that an implementation belongs to."""
    if not isinstance(implementation, Primitive):
        return str(implementation.__module__).rpartition(".")[2]
    modules = (module for module in vars(catalogue).values() if isinstance(module, ModuleType))
    return next(m.__name__.rpartition(".")[2] for m in modules if implementation in vars(m).values())


def is_method(name: str) -> bool:
    return hasattr(np.ndarray, name) and hasattr(Tensor, name)


def page() -> str:
    groups: dict[str, set[str]] = defaultdict(set)
    for function, implementation in NUMPY.items():
        groups[group_of(implementation)].add(numpy_name(function))
    lines = [
        "# What works on Tensors · Tensor에서 쓸 수 있는 함수",
        "",
        "Generated from the catalogue by `python -m tools.make_functions`; a test keeps it current.",
        "카탈로그에서 자동으로 만든 표입니다.",
        "",
        "Every function below is the NumPy function itself: call it on Tensors. Those marked ● are also methods.",
        "All of them can be differentiated any number of times. `out=`, `where=` and `dtype=` raise an error that says",
        "what to write instead.",
        "",
        "아래 함수는 모두 NumPy 함수 그대로이며 Tensor에 바로 쓸 수 있습니다.",
        "● 표시는 Tensor의 메서드로도 있다는 뜻입니다. 몇 번이든 거듭 미분할 수 있습니다.",
        "`out=`, `where=`, `dtype=`은 쓸 수 없고, 대신 무엇을 쓰면 되는지 오류가 알려 줍니다.",
        "",
    ]
    of_constants = groups.pop("without_gradient")
    for group, title in GROUPS.items():
        names = sorted(groups.pop(group), key=str.lower)
        marked = (f"`{name}`" + (" ●" if is_method(name.rpartition(".")[2]) else "") for name in names)
        lines += [f"## {title}", "", ", ".join(marked) + ".", ""]
    assert not groups, f"no title for {sorted(groups)}"
    lines += ["## In `tinygrad_kr.functional` · NumPy에 없는 함수", "", "| function | what it does |", "| --- | --- |"]
    for name in functional.__all__:
        lines.append(f"| `{name}` | {getattr(functional, name).__doc__.splitlines()[0].replace('|', chr(92) + '|')} |")
    plain = ", ".join(f"`{name}`" for name in sorted(of_constants | set(map(numpy_name, PLAIN))))
    lines += [
        "",
        "## Plain results · 기울기가 없는 결과",
        "",
        "These give plain arrays, since nothing can be differentiated through them.",
        "결과는 Tensor가 아니라 보통 배열입니다.",
        f"{' and '.join(f'`{name}`' for name in sorted(of_constants))} refuse Tensors that require a gradient.",
        "",
        plain + ".",
        "",
        "## Not supported, and what to use instead · 지원하지 않는 함수와 대안",
        "",
        "| NumPy function | instead |",
        "| --- | --- |",
        *(f"| `np.{name}` | {advice} |" for name, advice in sorted(INSTEAD.items())),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}: {len(NUMPY)} NumPy functions, {len(functional.__all__)} of functional")
