"""The files around the package agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_stands_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [PROJECT["version"]]


def test_the_workflow_tests_every_python_that_is_claimed() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    pairs = re.findall(r'\{python: "([\d.]+)", numpy: "([\d.]+)\.\*"\}', workflow)
    claimed = [name.split()[-1] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert sorted({python for python, _ in pairs}) == sorted(claimed)
    assert f">={claimed[0]}" == PROJECT["requires-python"]
    assert (claimed[0], "2.0") in pairs and "numpy>=2" in PROJECT["dependencies"]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    assert targets and all((ROOT / target).exists() for target in targets)
