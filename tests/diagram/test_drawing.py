"""Pictures of the graph: what is in them, that they are well formed, and that any graph can be drawn."""

from __future__ import annotations

import gc
import re
import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_kr import Tensor, debug, functional
from tinygrad_kr.diagram import Picture, draw
from tinygrad_kr.diagram.capture import Edge
from tinygrad_kr.diagram.layout import laid_out
from tinygrad_kr.errors import GraphError
from tinygrad_kr.models import TwoLayerNet

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a "b" <c> & \\d\\ ]|} #35; `e` __f__ 한글\n* g \x00\x1b'


GIVEN = "input", "constant"


def parameter(*shape: int, name: str | None = None) -> Tensor:
    return Tensor(np.ones(shape), requires_grad=True, name=name)


def boxes_of(picture: Picture, kind: str) -> list[Any]:
    return [box for box in picture.boxes if box.kind == kind]


def operands(picture: Picture, operation: str) -> list[tuple[str, str]]:
    """The titles of the operands of the only operation of a name, with the names of their places."""
    (end,) = (i for i, box in enumerate(picture.boxes) if box.title == operation)
    return [(picture.boxes[edge.start].title, edge.label) for edge in picture.edges if edge.end == end]


def shown(picture: Picture) -> list[list[str]]:
    """The lines of each box of the SVG, in order."""
    root = ElementTree.fromstring(picture.svg())
    return [[text.text or "" for text in group.findall(f"{SVG}text")] for group in root.findall(f"{SVG}g")]


# What is in the picture


def test_a_network_with_its_leaves_inputs_and_operations() -> None:
    net = TwoLayerNet(6, 5, 3, rng=np.random.default_rng(0), dtype=np.float32)
    x = np.ones((4, 6), np.float32)
    loss = net.loss(x, np.array([0, 1, 2, 0]))
    picture = draw(loss, {"x": x})
    assert shown(picture) == [
        ["x", "(4, 6) float32"],
        ["W1", "(6, 5) float32"],
        ["b1", "(5,) float32"],
        ["W2", "(5, 3) float32"],
        ["b2", "(3,) float32"],
        ["input", "(4,) int64"],
        ["linear", "(4, 5)"],
        ["relu", "(4, 5)"],
        ["linear", "(4, 3)"],
        ["softmax_cross_entropy", f"= {loss.item():.6g}"],
    ]
    assert [box.kind for box in picture.boxes] == [
        *("input", "leaf", "leaf", "leaf", "leaf", "input"),
        *["operation"] * 4,
    ]
    assert [edge[:2] for edge in picture.edges] == [
        *((0, 6), (1, 6), (2, 6), (6, 7), (7, 8), (3, 8), (4, 8), (8, 9), (5, 9)),
    ]
    assert operands(picture, "softmax_cross_entropy") == [("linear", "scores"), ("", "labels")]
    assert repr(picture) == "<Picture of 4 operations, 10 boxes, 9 edges>"


def test_a_picture_drawn_before_backward_shows_the_gradients_after_it() -> None:
    x, w = parameter(3, name="x"), Tensor([3.0, 4.0, 0.0], requires_grad=True, name="w")
    y = np.sum(x * w)
    picture = draw(y)
    before = picture.svg()
    assert "gradient" not in before
    y.backward()
    assert shown(picture)[0] == ["x", "(3,) float64", "gradient norm 5"]
    assert 'gradient norm 5"' in picture.mermaid() and "gradient norm 5" in picture.dot()
    assert boxes_of(picture, "leaf")[1].gradient_norm == pytest.approx(3**0.5)
    x.zero_grad(), w.zero_grad()
    assert picture.svg() == before


@pytest.mark.parametrize(
    ("gradient", "norm"),
    [
        ([3e200, 4e200], 5e200),
        ([3e-200, 4e-200], 5e-200),
        ([0.0, 0.0], 0.0),
        ([np.inf, 1.0], np.inf),
        ([np.nan, 1.0], np.nan),
    ],
)
def test_the_norm_of_any_gradient(gradient: list[float], norm: float) -> None:
    w = parameter(2, name="w")
    w.grad = Tensor(gradient)
    (box,) = draw(w).boxes
    np.testing.assert_allclose(box.gradient_norm, norm)
    assert f"gradient norm {norm:.3g}" in draw(w).svg()


def test_a_graph_that_was_freed_says_so_and_one_that_was_retained_is_whole() -> None:
    w = parameter(2, name="w")
    y = np.sum(np.exp(w))
    y.backward(retain_graph=True)
    assert [lines[0] for lines in shown(draw(y))] == ["w", "exp", "sum"]
    y.backward()
    assert shown(draw(y)) == [["sum", "= 5.43656", "freed by backward()"]]
    assert shown(draw(y, lang="ko")) == [["sum", "= 5.43656", "backward()로 해제됨"]]


def test_a_picture_keeps_no_array_in_memory() -> None:
    x, w = np.ones((3, 3)), parameter(3, name="w")
    h = np.exp(w * x)
    kept = [weakref.ref(x), weakref.ref(h.data)]
    gc.disable()
    try:
        picture = draw(np.sum(h))
        del x, h
        assert [ref() for ref in kept] == [None, None]
    finally:
        gc.enable()
    assert [box.title for box in picture.boxes] == ["w", "", "multiply", "exp", "sum"]


def test_one_input_used_twice_is_one_box_and_numbers_are_apart() -> None:
    w, x = parameter(2, name="w"), np.array([1.5, 2.5])
    picture = draw(np.sum((w * x) * x * 2 + w * 2))
    assert [lines for box, lines in zip(picture.boxes, shown(picture), strict=True) if box.kind in GIVEN] == [
        ["input", "(2,) float64"],
        ["2"],
        ["2"],
    ]
    assert sum(picture.boxes[edge.start].kind in GIVEN for edge in picture.edges) == 4


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.ones(2), "input"),
        (np.ones((1, 1)), "input"),
        (Tensor([1.0, 2.0]), "input"),
        (Tensor(3.0), "input"),  # somebody made a Tensor of it
        (Tensor(3.0, requires_grad=True), "leaf"),
        (np.float64(3.0), "constant"),
        (3.0, "constant"),
    ],
)
def test_what_the_user_gives_is_an_input_also_without_a_name(value: Any, kind: str) -> None:
    y = np.sum(parameter(2) * value)
    assert [box.kind for box in draw(y).boxes] == ["leaf", kind, "operation", "operation"]
    if kind != "constant":
        named = draw(y, {"x": value}).boxes[1]
        assert (named.kind, named.title) == (kind, "x")


def test_a_number_with_a_name_is_an_input() -> None:
    rate = 3.0
    assert shown(draw(parameter(2) * rate, {"rate": rate}))[1] == ["rate", "= 3"]


def test_what_the_graph_did_not_keep_is_not_called_a_constant() -> None:
    picture = draw(parameter(2) - np.ones(2))
    assert shown(picture)[:2] == [["leaf", "(2,) float64"], ["input or number (not kept)"]]


def test_an_operand_that_is_used_twice_has_two_edges() -> None:
    w = parameter(2, name="w")
    assert operands(draw(w * w), "multiply") == [("w", "a"), ("w", "b")]


def test_names_are_those_of_the_tensors_or_those_given() -> None:
    w, x = parameter(2, name="w"), Tensor([1.0, 2.0], name="x")
    hidden = w * x
    hidden.name = "hidden"
    y = np.sum(hidden)
    assert [lines[0] for lines in shown(draw(y))] == ["w", "x", "hidden = multiply", "sum"]
    given_names = {"weights": w, "loss": y, "inputs": x.data}
    assert [lines[0] for lines in shown(draw(y, given_names))] == [
        "weights",
        "inputs",
        "hidden = multiply",
        "loss = sum",
    ]
    unnamed = np.sum(parameter(2) * np.ones(2))
    assert [lines[0] for lines in shown(draw(unnamed))] == ["leaf", "input", "multiply", "sum"]
    assert [lines[0] for lines in shown(draw(unnamed, lang="ko"))] == ["매개변수", "입력", "multiply", "sum"]


def test_static_parameters_are_shown_unless_they_are_the_defaults() -> None:
    w = parameter(4, 6)
    y = np.sum(w, axis=0, keepdims=True)[0, 1:5:2, None] + functional.leaky_relu(w[np.array([0, 1]), :1], slope=0.2)
    found = {box.title: box.params for box in draw(y).boxes if box.params}
    assert found["sum"] == {"axis": "0", "keepdims": "True"}
    assert found["leaky_relu"] == {"slope": "0.2"}
    indices = [box.params["index"] for box in draw(y).boxes if box.title == "indexing"]
    assert sorted(indices) == ["(0, 1:5:2, None)", "(array (2,), :1)"]
    assert all(not box.params for box in draw(np.sum(functional.leaky_relu(w))).boxes)


def test_long_names_are_cut() -> None:
    (box,) = draw(parameter(1, name="n" * 500)).boxes
    assert box.title == "n" * 39 + "…"


def test_under_debug_an_operation_says_where_it_was_called() -> None:
    with debug():
        y = np.exp(parameter(1))
    tips = [tip.text or "" for tip in ElementTree.fromstring(draw(y).svg()).iter(f"{SVG}title")]
    assert any(Path(__file__).name in tip for tip in tips)


def test_a_leaf_is_a_picture_of_one_box() -> None:
    picture = draw(Tensor([2.5], requires_grad=True, name="w"))
    assert shown(picture) == [["w", "(1,) float64", "= 2.5"]]
    assert not picture.edges


# The limit


def chain(length: int) -> Tensor:
    """Two operations for each link."""
    h = w = parameter(2)
    for _ in range(length):
        h = np.tanh(h) * w
    return h


@pytest.mark.parametrize("limit", [1, 2, 7, 20])
def test_a_large_graph_is_cut_and_says_how_much_is_missing(limit: int) -> None:
    picture = draw(chain(500), limit=limit)
    operations = boxes_of(picture, "operation")
    assert picture.left_out == 1000 - len(operations) > 0
    assert len(picture.boxes) - 1 <= max(limit, 2)
    assert picture.boxes[0].kind == "rest"
    assert shown(picture)[0] == [f"{picture.left_out} more operations, not drawn"]
    assert shown(draw(chain(500), limit=limit, lang="ko"))[0] == [f"그리지 않은 연산 {picture.left_out}개"]
    assert operations[-1].result and not any(box.result for box in picture.boxes[:-1])
    assert any(edge.start == 0 for edge in picture.edges)
    assert f"and {picture.left_out} left out" in repr(picture)


def test_a_graph_of_just_the_limit_is_whole() -> None:
    y = chain(5)  # ten operations and one leaf
    assert draw(y, limit=11).left_out == 0
    assert draw(y, limit=10).left_out == 1
    assert shown(draw(y, limit=10))[0] == ["1 more operation, not drawn"]


def test_ten_thousand_operations_as_text_and_as_picture() -> None:
    picture = draw(chain(5000), limit=20_000)
    assert (len(picture.boxes), len(picture.edges), picture.left_out) == (10_001, 15_000, 0)
    assert len(picture.mermaid().splitlines()) == 1 + 10_001 + 15_000
    assert len(picture.dot().splitlines()) == 4 + 10_001 + 15_000
    assert len(shown(picture)) == 10_001


# Form


def test_hostile_names_do_no_harm() -> None:
    w = parameter(2, name=HOSTILE)
    picture = draw(np.exp(w))
    (title, _), _ = shown(picture)
    assert title == HOSTILE.replace("\n", " ").replace("\x00", "\ufffd").replace("\x1b", "\ufffd")[:39] + "…"
    label = re.search(r'n0\(\["(.*)"\]\)\n', picture.mermaid())
    assert label is not None
    decoded = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label[1])
    assert decoded == f"{title}<br/>(2,) float64"
    assert not set('"<>&|`[]{}') & set(label[1].replace("<br/>", ""))
    assert '[label="a \\"b\\" <c> & \\\\d\\\\ ]|} #35;' in picture.dot()


@pytest.mark.parametrize("name", ["1. one", "- two", "+ three", "_four_", "end", "%% five", "graph"])
def test_a_name_that_mermaid_would_read_as_markup_is_escaped(name: str) -> None:
    label = draw(parameter(1, name=name)).mermaid().split('"')[1].split("<br/>")[0]
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) == name
    assert not re.match(r"\d+\.\s|[-+*]\s|_|%", label)


@given(st.text())
def test_any_name_makes_well_formed_pictures(name: str) -> None:
    picture = draw(Tensor([1.0], requires_grad=True, name=name))
    picture.svg().encode()
    ElementTree.fromstring(picture.svg())
    assert len(picture.mermaid().splitlines()) == 2
    assert re.fullmatch(r'  n0 \[label="(?:[^"\\]|\\.)*", shape=.*\];', picture.dot().split("\n")[3])


def test_text_for_mermaid_and_graphviz() -> None:
    w = parameter(2, name="w")
    y = np.sum(w * 3.0)
    assert draw(y).mermaid().splitlines() == [
        "flowchart TD",
        '  n0(["w<br/>(2,) float64"])',
        '  n1("3")',
        '  n2["multiply<br/>(2,)"]',
        '  n3["sum<br/>= 6"]',
        '  n0 -->|"a"| n2',
        '  n1 -->|"b"| n2',
        "  n2 --> n3",
    ]
    dot = draw(y).dot().splitlines()
    assert dot[0] == "digraph {" and dot[-1] == "}"
    assert dot[3].startswith('  n0 [label="w\\n(2,) float64", shape=box, style="rounded,filled"')
    assert dot[6].startswith('  n3 [label="sum\\n= 6"') and dot[6].endswith("penwidth=2];")
    assert dot[7:10] == ['  n0 -> n2 [label="a"];', '  n1 -> n2 [label="b"];', "  n2 -> n3;"]


def test_a_notebook_shows_the_svg() -> None:
    picture = draw(np.exp(parameter(1, name="w")))
    assert picture._repr_svg_() == picture.svg()


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", "<svg"), ("mmd", "flowchart"), ("dot", "digraph"), ("GV", "digraph")]
)
def test_saved_by_suffix(tmp_path: Path, suffix: str, start: str) -> None:
    draw(parameter(1, name="가")).save(tmp_path / f"graph.{suffix}")
    text = (tmp_path / f"graph.{suffix}").read_text(encoding="utf-8")
    assert text.startswith(start) and text.endswith("\n") and "가" in text


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown suffix '\.png'.*\.svg"):
        draw(parameter(1)).save(tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())


# Layout


@st.composite
def graphs(draw_from: st.DrawFn) -> Tensor:
    """A result of random operations on random earlier results."""
    values: list[Any] = [parameter(2, name=f"p{i}") for i in range(draw_from(st.integers(1, 4)))]
    for _ in range(draw_from(st.integers(1, 25))):
        picks = [values[draw_from(st.integers(0, len(values) - 1))] for _ in range(draw_from(st.integers(1, 8)))]
        values.append(np.tanh(picks[0]) if len(picks) == 1 else np.concatenate(picks)[:2])
    return np.sum(np.concatenate(values[-3:]))


def numbers(element: ElementTree.Element, *keys: str) -> list[float]:
    return [float(element.get(key, "nan")) for key in keys]


@given(graphs())
def test_boxes_are_apart_and_edges_lead_down_from_box_to_box(result: Tensor) -> None:
    picture = draw(result, limit=500)
    root = ElementTree.fromstring(picture.svg())
    width, height = numbers(root, "width", "height")
    frames = [numbers(r, "x", "y", "width", "height") for r in root.iter(f"{SVG}rect")]
    assert len(frames) == len(picture.boxes)
    for i, (x, y, w, h) in enumerate(frames):
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for a, b, c, d in frames[:i]:
            assert x >= a + c or a >= x + w or y >= b + d or b >= y + h
    paths = [path.get("d", "") for path in root.findall(f"{SVG}path")]
    ends = sorted(edge.end for edge in picture.edges)
    starts: dict[int, list[int]] = {end: [e.start for e in picture.edges if e.end == end] for end in ends}
    assert len(paths) == 2 * len(ends)
    for line, head, end in zip(paths[::2], paths[1::2], ends, strict=True):
        x, y, w, h = frames[end]
        tip_x, tip_y = map(float, head[1:].split()[:2])
        assert x <= tip_x <= x + w and tip_y == pytest.approx(y, abs=0.2)
        x, y, w, h = frames[starts[end].pop(0)]
        from_x, from_y = map(float, line[1:].split(" C")[0].split())
        assert x <= from_x <= x + w and from_y == pytest.approx(y + h, abs=0.2)
        assert from_y < tip_y


@given(graphs())
def test_every_text_fits_into_its_box(result: Tensor) -> None:
    for group in ElementTree.fromstring(draw(result).svg()).findall(f"{SVG}g"):
        (frame,) = group.findall(f"{SVG}rect")
        x, y, w, h = numbers(frame, "x", "y", "width", "height")
        for text in group.findall(f"{SVG}text"):
            half = 0.6 * 12 * len(text.text or "") / 2  # a monospaced letter is 0.6 of its height wide
            tx, ty = numbers(text, "x", "y")
            assert x < tx - half and tx + half < x + w
            assert y + 9 < ty < y + h


def test_a_crossing_that_can_be_avoided_is_avoided() -> None:
    crossed = [Edge(0, 3), Edge(1, 2), Edge(2, 4), Edge(3, 4)]
    layout = laid_out([50.0] * 5, crossed)
    assert layout.layer == [0, 0, 1, 1, 2]
    assert (layout.x[0] < layout.x[1]) == (layout.x[3] < layout.x[2])


def test_a_leaf_stands_next_to_its_first_use() -> None:
    w, late = parameter(2, name="w"), parameter(2, name="late")
    picture = draw(np.exp(np.exp(np.exp(w))) * late)
    layout = laid_out([50.0] * len(picture.boxes), picture.edges)
    layers = dict(zip((box.title for box in picture.boxes), layout.layer, strict=False))
    assert layers["w"] == 0 and layers["late"] == layers["multiply"] - 1 == 3


# Misuse


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones(2),), TypeError, "expected a Tensor, got ndarray"),
        ((Tensor([1.0], name="x"),), GraphError, r"x \(1,\) was computed from no Tensor that requires a gradient"),
    ],
)
def test_what_has_no_graph_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(*arguments)


def test_a_limit_or_a_language_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be at least 1"):
        draw(parameter(1), limit=0)
    with pytest.raises(ValueError, match="'en', 'ko'"):
        draw(parameter(1), lang="fr")
