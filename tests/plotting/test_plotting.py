"""The pictures: that they are drawn, that they show what they say, and that they share no state."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from tinygrad_kr import Tensor, functional, nn, no_grad
from tinygrad_kr.errors import LabelError, NonFiniteError, ShapeError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import gradient_descent
from tinygrad_kr.plotting import (
    BLUE,
    COLUMNS,
    ORANGE,
    RED,
    ROWS,
    plot_activation_histograms,
    plot_activations,
    plot_confusion,
    plot_descent,
    plot_digits,
    plot_gradient_sizes,
    plot_history,
    plot_vanishing_gradients,
    plot_weights,
)
from tinygrad_kr.plotting.page import font_with_hangul
from tinygrad_kr.training import Row


def row(epoch: int, loss: float, train: float, test: float) -> Row:
    return Row(epoch, 10 * epoch, 0.1, loss, metrics={"train_accuracy": train, "test_accuracy": test})


def history(epochs: int) -> list[Row]:
    return [row(n, 2 / n, 1 - 0.3 / n, 1 - 0.5 / n) for n in range(1, epochs + 1)]


def pixels(path: Path, color: str) -> int:
    """Count the pixels of exactly one colour."""
    picture = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    return int(np.sum(np.all(picture == [int(color[i : i + 2], 16) for i in (1, 3, 5)], axis=-1)))


@pytest.mark.parametrize("epochs", [1, 2, 20])
def test_the_curve_shows_loss_and_both_accuracies(tmp_path: Path, epochs: int) -> None:
    plot_history(history(epochs), tmp_path / "curve.png")
    for color in (RED, BLUE, ORANGE):
        assert pixels(tmp_path / "curve.png", color) > 20


def test_the_history_of_a_trainer_shows_what_it_has() -> None:
    rows = [Row(n, 10 * n, 0.1, 2 / n, 3 / n if n > 1 else None, {"accuracy": n / 4, "error": -n}) for n in (1, 2, 3)]
    losses, metrics = plot_history(rows).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for axes in (losses, metrics) for line in axes.lines}
    np.testing.assert_equal(
        drawn,
        {
            "training (0.6667 at the end)": [2, 1, 2 / 3],
            "validation (1.0000 at the end)": [np.nan, 1.5, 1],
            "accuracy (0.7500 at the end)": [0.25, 0.5, 0.75],
            "error (-3.0000 at the end)": [-1, -2, -3],
        },
    )
    (alone,) = plot_history([Row(1, 10, 0.1, -2.0)]).axes
    assert alone.get_ylim()[0] < -2  # a negative loss is not cut off


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no epoch"):
        plot_history([], tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 28, 28)])
def test_digits_in_any_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    labels = np.arange(50) % 10
    plot_digits(np.random.default_rng(0).random((50, *shape)), labels, labels, tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("count", "wrong", "shown_wrong"),
    [
        (100, 0, 0),
        (100, 3, 3),
        (100, 60, COLUMNS),
        (100, 75, COLUMNS * ROWS - 25),
        (100, 100, COLUMNS * ROWS),
        (5, 0, 0),
        (5, 5, 5),
    ],
)
def test_wrong_ones_are_marked_in_red_and_only_they(tmp_path: Path, count: int, wrong: int, shown_wrong: int) -> None:
    labels = np.arange(count) % 10
    predictions = np.where(np.arange(count) >= count - wrong, (labels + 1) % 10, labels)
    plot_digits(np.zeros((count, 784)), labels, predictions, tmp_path / "digits.png")
    marked = pixels(tmp_path / "digits.png", RED)
    one_frame = 4 * 110 * 3  # about 110 pixels a side and 3 thick, and the title
    assert 0.6 * shown_wrong * one_frame <= marked <= 1.8 * shown_wrong * one_frame


def test_no_global_state_of_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys; from tinygrad_kr.plotting import plot_history; from tinygrad_kr.training import Row;"
        f"plot_history([Row(1, 10, 0.1, 1.0)], {str(tmp_path / 'curve.png')!r});"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


# Every picture: returned, saved, labelled in both languages


def drawn_everywhere(lang: str, path: Path | None = None) -> dict[str, Any]:
    """Draw each picture once, small."""
    net = TwoLayerNet(16, 4, 3, rng=np.random.default_rng(0))
    labels = np.arange(12) % 3
    f = lambda x: x[0] ** 2 + 3 * x[1] ** 2
    trail = gradient_descent(f, [2.0, 1.0], lr=0.1, step_num=5, return_path=True)[1]
    return {
        "history": plot_history(history(3), path, lang=lang),
        "digits": plot_digits(np.zeros((12, 16)), labels, np.zeros(12, int), path, lang=lang),
        "confusion": plot_confusion(labels, np.zeros(12, int), path=path, lang=lang),
        "activations": plot_activations(["sigmoid"], path=path, lang=lang),
        "vanishing": plot_vanishing_gradients(["step", "tanh"], depth=3, width=5, path=path, lang=lang),
        "descent": plot_descent(f, trail, path=path, lang=lang),
        "weights": plot_weights(net, limit=2, path=path, lang=lang),
        "histograms": plot_activation_histograms(net, np.ones((5, 16)), path=path, lang=lang),
    }


def words(figure: Any) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.fixture
def hangul_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A font in which Hangul syllables are boxes of ink, known to matplotlib for one test."""
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for width in range(300, 1000, 100):
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        for corner in ((width, 0), (width, 800), (100, 800)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs[f"ink{width}"] = pen.glyph()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({code: f"ink{300 + code % 7 * 100}" for code in range(ord("가"), ord("힣") + 1)})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test Hangul", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "hangul.ttf")
    only_known_fonts(monkeypatch)
    font_manager.fontManager.addfont(tmp_path / "hangul.ttf")
    return "Test Hangul"


def only_known_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let matplotlib know only the fonts that it brings, none of which has Hangul."""
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_: [])


def test_every_picture_is_returned_and_labelled_in_english(tmp_path: Path) -> None:
    for name, figure in drawn_everywhere("en", tmp_path / "picture.svg").items():
        assert isinstance(figure, Figure)
        assert re.search("[a-z]{3}", words(figure)), name
        assert not re.search("[가-힣]", words(figure)), name
    assert (tmp_path / "picture.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_every_picture_is_labelled_in_korean_without_empty_boxes(tmp_path: Path, hangul_font: str) -> None:
    for name, figure in drawn_everywhere("ko", tmp_path / "picture.png").items():  # a missing glyph would warn
        texts = [text for text in figure.findobj(Text) if re.search("[가-힣]", text.get_text())]
        assert texts, name
        assert all(text.get_family()[-1] == hangul_font for text in texts), name


def test_korean_names_of_the_users_have_their_letters_in_an_english_picture(hangul_font: str) -> None:
    figure = plot_confusion([0, 1], [0, 1], classes=["고양이", "개"])
    figure.canvas.draw()  # a missing glyph would warn
    texts = [text for text in figure.findobj(Text) if text.get_text() in ("고양이", "개")]
    assert texts and all(text.get_family()[-1] == hangul_font for text in texts)
    assert figure.axes[0].get_xlabel() == "predicted class"


@pytest.mark.parametrize(("lang", "exception"), [("en", "Accuracy per class"), ("ko", "클래스별 정확도")])
def test_every_axis_is_labelled(lang: str, exception: str, hangul_font: str) -> None:
    figures = drawn_everywhere(lang)
    for name in ("history", "confusion", "activations", "vanishing", "descent", "histograms"):
        for axes in figures[name].axes:
            is_scale = axes.get_label() == "<colorbar>"
            assert axes.get_xlabel() or is_scale, name
            assert axes.get_ylabel() or axes.get_title() == exception, name


def test_without_a_font_the_labels_are_english_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    only_known_fonts(monkeypatch)
    with pytest.warns(UserWarning, match="no installed font has Hangul") as caught:
        figure = plot_history(history(2), lang="ko")
    assert caught[0].filename == __file__
    assert figure.axes[0].get_title() == "Loss"


def test_a_font_installed_after_matplotlib_made_its_list_is_found(
    hangul_font: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_known_fonts(monkeypatch)
    assert font_with_hangul() is None
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_: [str(tmp_path / "hangul.ttf")])
    assert font_with_hangul() == hangul_font


def test_the_users_own_font_comes_first(hangul_font: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(font_manager.fontManager.ttflist[-1], name="NanumGothic")
    font_manager.fontManager.ttflist.append(other)
    assert font_with_hangul() == "NanumGothic"
    monkeypatch.setitem(matplotlib.rcParams, "font.family", [hangul_font])
    assert font_with_hangul() == hangul_font


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="'en', 'ko'"):
        plot_history(history(1), lang="fr")


# Activations


SLOPES = {
    "sigmoid": lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2,
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "step": np.zeros_like,
    "identity": np.ones_like,
}


@pytest.mark.parametrize("name", SLOPES)
def test_an_activation_is_drawn_with_its_derivative(name: str) -> None:
    with no_grad():  # the caller's mode does not matter
        (axes,) = plot_activations([name], xlim=(-3, 2)).axes
    value, slope = (line.get_xydata() for line in axes.lines[:2])
    value, slope = (points[np.isfinite(points[:, 0])] for points in (value, slope))
    assert value[0, 0] == -3 and value[-1, 0] == 2
    np.testing.assert_allclose(value[:, 1], getattr(functional, name)(value[:, 0]))
    np.testing.assert_allclose(slope[:, 1], SLOPES[name](slope[:, 0]), atol=1e-12)
    assert axes.get_title() == name
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "f(x), f′(x)")


def test_leaky_relu_can_be_told_from_relu() -> None:
    (axes,) = plot_activations(["leaky_relu"]).axes
    assert axes.get_title() == "leaky_relu, slope = 0.1"
    value, slope = (line.get_xydata() for line in axes.lines[:2])
    slope = slope[np.isfinite(slope[:, 0])]
    np.testing.assert_allclose(value[:, 1], functional.leaky_relu(value[:, 0], slope=0.1))
    np.testing.assert_allclose(slope[:, 1], np.where(slope[:, 0] > 0, 1, 0.1))
    (own,) = plot_activations({"leaky_relu": functional.leaky_relu}).axes
    assert own.lines[0].get_ydata()[0] == pytest.approx(-0.06)  # what the user passes is drawn as it is


def gaps(line: Any) -> list[float]:
    """Where a curve is interrupted."""
    x, y = line.get_xydata().T
    assert np.array_equal(np.isnan(x), np.isnan(y))
    return [float((x[i - 1] + x[i + 1]) / 2) for i in np.flatnonzero(np.isnan(x))]


def test_a_curve_has_a_gap_where_it_jumps_and_nowhere_else() -> None:
    functions = {
        "two steps": lambda x: functional.step(x - 1) + functional.step(x + 2.005),
        "steep": lambda x: np.tanh(500 * x),
        "relu": functional.relu,
    }
    two_steps, steep, relu, *rest = plot_activations({**functions, "tanh": np.tanh}).axes
    assert [axes.axison for axes in rest] == [True, False, False]
    np.testing.assert_allclose(gaps(two_steps.lines[0]), [-2, 1], atol=0.03)
    assert gaps(steep.lines[0]) == gaps(steep.lines[1]) == gaps(relu.lines[0]) == []
    np.testing.assert_allclose(gaps(relu.lines[1]), [0], atol=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"functions": ["sigmoid", "swish"]}, "unknown activation 'swish'"),
        ({"functions": []}, "no activation"),
        ({"functions": {"softmax": functional.softmax}}, "softmax does not work element by element"),
        ({"functions": {"sum": np.sum}}, r"one value for each of \(601,\).*got \(\)"),
        ({"xlim": (1, 1)}, "from < to"),
    ],
)
def test_what_has_no_curve_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_activations(**arguments)


# Gradients through the layers


def test_the_gradient_of_sigmoid_vanishes_and_that_of_relu_does_not() -> None:
    axes = plot_vanishing_gradients(depth=8, width=50).axes[0]
    sigmoid, tanh, relu = (line.get_ydata() for line in axes.lines)
    assert np.all(sigmoid[:-1] < sigmoid[1:]) and sigmoid[0] < 1e-4 * sigmoid[-1]
    for alive in (tanh, relu):
        assert 0.2 < alive[0] / alive[-1] < 5
    assert axes.get_yscale() == "log"
    assert [text.get_text().split()[0] for text in axes.get_legend().get_texts()] == ["sigmoid", "tanh", "relu"]


def test_the_size_of_the_weights_can_be_given_and_the_seed() -> None:
    def sizes(**arguments: Any) -> Any:
        return plot_vanishing_gradients(["sigmoid"], depth=4, width=20, **arguments).axes[0].lines[0].get_ydata()

    assert sizes(weight_std=0.01)[0] < 1e-3 * sizes()[0]
    assert np.array_equal(sizes(), sizes(seed=0)) and not np.array_equal(sizes(), sizes(seed=1))


def test_sizes_are_root_mean_squares_at_any_scale() -> None:
    layers = [np.array([3.0, 4.0]) * scale for scale in (1e-200, 1, 1e200)]
    (line,) = plot_gradient_sizes({"net": layers}).axes[0].lines
    np.testing.assert_allclose(line.get_ydata() / [1e-200, 1, 1e200], np.sqrt(12.5))
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])


def test_a_gradient_of_zero_is_told_in_the_legend() -> None:
    axes = plot_gradient_sizes({"net": [np.zeros(3), np.ones(3)]}).axes[0]
    assert axes.get_legend().get_texts()[0].get_text() == "net  (0 in 1 of 2 layers)"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 1])


@pytest.mark.parametrize("gradients", [{}, {"net": []}])
def test_no_gradient_to_draw_is_refused(gradients: Any) -> None:
    with pytest.raises(ValueError, match="at least one network"):
        plot_gradient_sizes(gradients)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    with pytest.raises(NonFiniteError, match="gradient of net"):
        plot_gradient_sizes({"net": [np.array([1.0, np.nan])]})


@pytest.mark.parametrize("size", [{"depth": 0}, {"width": 0}])
def test_a_network_without_layers_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        plot_vanishing_gradients(**size)


# Descent


def bowl(x: Any) -> Any:
    return x[0] ** 2 / 20 + x[1] ** 2


TRAIL = gradient_descent(bowl, [-7.0, 2.0], lr=0.9, step_num=10, return_path=True)[1]


def test_the_way_is_drawn_on_the_contours() -> None:
    figure = plot_descent(lambda x: np.sum(Tensor(x) ** 2), TRAIL, names=("w", "b"))
    axes, scale = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), TRAIL)
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), TRAIL[-1:])
    assert (axes.get_xlabel(), axes.get_ylabel(), scale.get_ylabel()) == ("w", "b", "f(w, b)")
    for (low, high), along in zip((axes.get_xlim(), axes.get_ylim()), TRAIL.T, strict=True):
        assert low < along.min() and along.max() < high
    for level, lines in zip(axes.collections[1].levels, axes.collections[1].get_paths(), strict=True):
        np.testing.assert_allclose(np.sum(lines.vertices**2, axis=1), level, atol=0.05)
    first, last = np.sum(TRAIL[[0, -1]] ** 2, axis=1)
    assert axes.get_legend().get_texts()[0].get_text() == f"f: {first:.3g} → {last:.3g} in 10 steps"


def test_several_ways_are_told_apart_by_their_names() -> None:
    axes = plot_descent(bowl, {"slow": TRAIL[:5], "fast": TRAIL}, xlim=(-8, 8), ylim=(-3, 3)).axes[0]
    assert [text.get_text().split(":")[0] for text in axes.get_legend().get_texts()] == ["slow", "fast"]
    assert axes.lines[0].get_color() != axes.lines[2].get_color()
    assert (axes.get_xlim(), axes.get_ylim()) == ((-8, 8), (-3, 3))


@pytest.mark.parametrize("f", [lambda x: 1.0, lambda x: np.log(x[0]) if x[0] > 0 else np.nan])
def test_plains_and_holes_are_drawn(f: Any, tmp_path: Path) -> None:
    plot_descent(f, np.array([[2.0, 1.0]]), path=tmp_path / "plain.png")
    assert (tmp_path / "plain.png").exists()


@pytest.mark.parametrize(
    ("f", "trail", "error", "message"),
    [
        (bowl, (TRAIL[-1], TRAIL), ShapeError, "second thing"),
        (bowl, TRAIL[0], ShapeError, r"got \(2,\)"),
        (bowl, TRAIL[:0], ShapeError, r"got \(0, 2\)"),
        (bowl, np.ones((4, 3)), ShapeError, r"got \(4, 3\)"),
        (bowl, {}, ValueError, "no trail"),
        (bowl, np.array([[1.0, 1.0], [np.inf, 1.0]]), NonFiniteError, "step 1"),
        (lambda x: x, TRAIL, ShapeError, r"one number, got an array of shape \(2,\)"),
        (lambda x: np.nan, TRAIL, NonFiniteError, "finite nowhere"),
    ],
)
def test_what_is_no_way_downhill_is_refused(f: Any, trail: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plot_descent(f, trail)


def test_a_ravine_has_its_shades_spread_over_the_area_and_no_label_is_cut_off() -> None:
    ravine = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    trail = gradient_descent(ravine, [-1.2, 1.0], lr=1e-3, step_num=300, return_path=True)[1]
    figure = plot_descent(ravine, trail)
    shades = figure.axes[0].collections[0].get_facecolors()[:, :3].sum(axis=1)
    assert np.median(np.abs(np.diff(shades))) > 0.02
    figure.canvas.draw()
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= page.x1 and drawn.y1 <= page.y1
    assert figure.axes[1].get_window_extent().height == pytest.approx(
        figure.axes[0].get_window_extent().height, rel=0.02
    )


# Confusion


def test_the_confusion_matrix_counts_with_true_classes_as_rows() -> None:
    labels, predictions = [0, 0, 0, 1, 2, 2], [0, 1, 1, 1, 0, 2]
    matrix, bars = plot_confusion(labels, predictions, classes=["cat", "dog", "cow", "hen"]).axes
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): int(t.get_text()) for t in matrix.texts}
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (labels, predictions), 1)
    assert cells == {index: expected[index] for index in np.ndindex(4, 4)}
    np.testing.assert_allclose(matrix.images[0].get_array()[0], [1 / 3, 2 / 3, 0, 0])
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("predicted class", "true class")
    assert [t.get_text() for t in matrix.get_yticklabels()] == ["cat", "dog", "cow", "hen"]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], [100 / 3, 100, 50, 0])
    assert [t.get_text() for t in bars.texts] == ["33.3% (1 of 3)", "100.0% (1 of 1)", "50.0% (1 of 2)", "no example"]
    assert bars.get_xlabel() == "accuracy (%)"
    assert bars.get_ylim() == matrix.get_ylim()


def test_one_hot_labels_and_scores_are_understood() -> None:
    figure = plot_confusion(np.eye(3)[[0, 1, 2]], Tensor([[0.9, 0.1, 0], [0, 0.3, 0.7], [0, 0, 1]]))
    assert "2 of 3 predicted right (66.7%)" in words(figure)


def test_many_classes_leave_out_the_numbers() -> None:
    assert not plot_confusion(np.arange(30), np.arange(30)).axes[0].texts


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0], "2 labels and 1 predictions"),
        ([], [], "class numbers|at least one"),
        ([0, -1], [0, 0], "labels must be class numbers.*\n.*the least -1"),
        ([0, 1], [0.5, 1.0], "predictions must be class numbers"),
        ([0, 1], [0, 2], "class 2 has no name; classes has 2"),
    ],
)
def test_what_are_no_classes_is_refused(labels: Any, predictions: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        plot_confusion(labels, predictions, classes=["a", "b"])


# What a network holds inside


def test_each_unit_is_an_image_of_its_weights() -> None:
    net = TwoLayerNet(12, 3, 2, rng=np.random.default_rng(0))
    w = net.params["W1"].data
    axes = plot_weights(net.params["W1"], shape=(3, 4), limit=2).axes
    for unit in range(2):
        np.testing.assert_array_equal(axes[unit].images[0].get_array(), w[:, unit].reshape(3, 4))
        low, high = axes[unit].images[0].get_clim()
        assert -low == high == np.max(np.abs(w[:, :2]))
    assert axes[-1].get_ylabel() == "weight"
    assert "the first 2 of 3" in words(axes[0].figure)


def test_each_channel_of_a_filter_is_an_image() -> None:
    w = np.arange(24.0).reshape(3, 2, 2, 2)
    axes = plot_weights(w).axes
    assert [a.get_title() for a in axes[:6]] == ["0, 0", "0, 1", "1, 0", "1, 1", "2, 0", "2, 1"]
    np.testing.assert_array_equal(axes[3].images[0].get_array(), w[1, 1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((12, 3)),), ShapeError, "12 features are not an image of 3 x 3"),
        ((np.ones(12),), ShapeError, r"got \(12,\)"),
        ((np.ones((0, 3)),), ValueError, "no weights"),
        ((np.full((4, 1), np.nan),), NonFiniteError, "4 weights"),
    ],
)
def test_what_are_no_images_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plot_weights(*arguments)
    with pytest.raises(ValueError, match="limit"):
        plot_weights(np.ones((4, 1)), limit=0)


def test_histograms_of_the_activations_of_a_network() -> None:
    net, x = TwoLayerNet(16, 8, 3, rng=np.random.default_rng(0)), np.random.default_rng(1).normal(size=(20, 16))
    axes = plot_activation_histograms(net, x).axes
    hidden = x @ net.params["W1"].data
    expected = [hidden, np.maximum(hidden, 0), net.scores(x).data, net.predict(x).data]
    for ax, values in zip(axes, expected, strict=True):
        counts, edges = np.histogram(values, 30)
        np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], counts)
        np.testing.assert_allclose([bar.get_x() for bar in ax.patches], edges[:-1], atol=1e-12)
        assert f"mean {values.mean():.3g}, std {values.std():.3g}, {np.mean(values == 0):.0%} zero" in ax.get_title()
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("value", "number of values")


def test_histograms_of_the_layers_of_a_module() -> None:
    net, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), np.random.default_rng(1).normal(size=(20, 3))
    linear, relu = plot_activation_histograms(net, x).axes
    assert linear.get_title().startswith("layers.0 Linear\n") and relu.get_title().startswith("layers.1 ReLU\n")
    np.testing.assert_array_equal([bar.get_height() for bar in relu.patches], np.histogram(net(x).data, 30)[0])


def test_values_that_are_not_finite_are_counted() -> None:
    (axes,) = plot_activation_histograms({"layer": Tensor([1.0, np.nan, np.inf, 2.0])}).axes
    assert axes.get_title().endswith("\n2 not finite")
    assert sum(bar.get_height() for bar in axes.patches) == 2


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        (TwoLayerNet(2, 2, 2), None, "a network with x"),
        ({"a": np.ones(2)}, np.ones((1, 2)), "a network with x"),
        ({}, None, "not empty"),
        (np.ones(3), None, "expected a mapping"),
        ({"a": np.array([np.nan])}, None, "a has no finite value"),
    ],
)
def test_what_has_no_activations_is_refused(layers: Any, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_activation_histograms(layers, x)
