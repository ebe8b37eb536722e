"""The code in README and docs runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(code, id=f"{page.name}-{i}")
    for page in PAGES
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_block_runs(code: str) -> None:
    exec(compile(code, "<documentation>", "exec"), {})


@pytest.mark.parametrize("name", ["training.md", "training.ko.md"])
def test_what_code_prints_is_what_stands_below_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    shown = re.findall(r"```python\n([^`]*)```\n\n```(?:text|mermaid)\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 2
    for code, output in shown:
        exec(compile(code, name, "exec"), {})
        assert capsys.readouterr().out == output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_both_readmes_show_the_same_code() -> None:
    def code(name: str) -> list[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return [re.sub(r" *# .*", "", block) for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)]

    assert code("README.md") == code("README.ko.md")


def test_table_of_functions_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    make_functions = pytest.importorskip("tools.make_functions")
    assert make_functions.PAGE.read_text(encoding="utf-8") == make_functions.page(), (
        "docs/functions.md is out of date; run: python -m tools.make_functions"
    )
