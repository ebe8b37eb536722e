"""``predict``, ``plot`` and ``datasets`` on the command line."""

from __future__ import annotations

import json
import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from tinygrad_kr import cli
from tinygrad_kr.cli import datasets, plot
from tinygrad_kr.cli.predict import DARK_GROUND, LIGHT_GROUND, light_border
from tinygrad_kr.cli.run_folder import open_run
from tinygrad_kr.datasets import load_mnist_sample, mnist
from tinygrad_kr.saving import load, save

FACTORY = """
from tinygrad_kr import nn

def small(rng):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32, rng=rng), nn.ReLU(), nn.Linear(32, 10, rng=rng))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "nets.py").write_text(FACTORY)
    quick = ["--epochs", "1", "--quiet"]
    two_layer = ["--hidden", "8", "--activation", "tanh", "--dtype", "float64"]
    assert cli.main(["train", *quick, *two_layer, "--out", str(folder / "two")]) == 0
    assert cli.main(["train", *quick, "--model", f"{folder}/nets.py:small", "--out", str(folder / "own")]) == 0
    assert cli.main(["train", *quick, "--model", "mlp", "--out", str(folder / "mlp")]) == 0
    return folder


@pytest.fixture(autouse=True)
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of it, with some images."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    _, (pixels, _) = load_mnist_sample(normalize=False)
    images = pixels[:30].reshape(30, 28, 28)
    (tmp_path / "images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    )
    np.save("bytes.npy", images)
    np.save("floats.npy", images.reshape(30, 784) / 255)
    np.save("inverted.npy", 1 - images / 255)
    matplotlib.image.imsave("digit.png", images[0], cmap="gray", vmin=0, vmax=255)
    return tmp_path


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> np.ndarray:
    """Return the table that is printed, without its heading."""
    capsys.readouterr()
    assert cli.main(["predict", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return np.array([[float(word) for word in line.split()] for line in out.splitlines()[1:]])


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    _, err = capsys.readouterr()
    assert re.fullmatch(r"tinygrad_kr: error: .+\n", err), err
    return err


@pytest.mark.parametrize(
    ("run", "model"), [("two", []), ("mlp", []), ("own", ["--model", "nets.py:small"])], ids=["two-layer", "mlp", "own"]
)
def test_predict_prints_labels_and_probabilities(
    run: str, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = predicted(capsys, run, "images-idx3-ubyte", *model)
    _, (_, labels) = load_mnist_sample()
    np.testing.assert_array_equal(table[:, 0], range(30))
    assert np.mean(table[:, 1] == labels[:30]) > 0.6
    np.testing.assert_array_equal(table[:, 1], np.argmax(table[:, 2:], axis=1))
    np.testing.assert_allclose(table[:, 2:].sum(axis=1), 1, atol=1e-3)
    for images in ("bytes.npy", "floats.npy"):
        np.testing.assert_array_equal(predicted(capsys, run, images, *model), table)
    np.testing.assert_array_equal(predicted(capsys, run, "inverted.npy", "--invert", *model), table)
    np.testing.assert_allclose(predicted(capsys, run, "digit.png", *model), table[:1], atol=2e-3)
    for weights in ("weights.safetensors", "checkpoint.safetensors"):
        if Path(run, weights).exists():
            np.testing.assert_array_equal(predicted(capsys, f"{run}/{weights}", "bytes.npy", *model), table)


def test_predict_pictures_of_any_size_and_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    """The digits of MNIST as a camera sees them: large, off the centre, dark on grey paper."""
    expected = predicted(capsys, "mlp", "bytes.npy")
    digits = np.load("bytes.npy")[:20]
    names = [f"digit{i}.png" for i in range(len(digits))]
    for name, digit in zip(names, digits, strict=True):
        page = np.full((230, 310), 200, np.uint8)
        page[60:200, 30:170] -= (np.kron(digit, np.ones((5, 5))) / 255 * 180).astype(np.uint8)
        Image.fromarray(page).save(name)
    assert cli.main(["predict", "mlp", "bytes.npy", *names, "--invert"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.endswith("  file")
    assert [line.split()[-1] for line in lines] == ["bytes.npy"] * 30 + names
    labels = np.array([int(line.split()[1]) for line in lines])[30:]
    assert np.mean(labels == expected[: len(names), 1]) >= 0.95


@pytest.mark.parametrize("kind", ["bytes", "floats", "idx", "small.png", "large.png"])
def test_predict_sees_that_digits_are_dark_on_a_light_ground(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    digits = np.load("bytes.npy")[:3]
    expected = predicted(capsys, "mlp", "bytes.npy")[:3]
    if kind.endswith(".png"):
        page = np.kron(255 - digits[0], np.ones((1, 1) if kind == "small.png" else (5, 5))).astype(np.uint8)
        Image.fromarray(page).save(path := kind)
        expected = expected[:1]
    elif kind == "idx":
        Path(path := "dark-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3]) + np.array(digits.shape, ">u4").tobytes() + (255 - digits).tobytes()
        )
    else:
        np.save(path := "dark.npy", 255 - digits if kind == "bytes" else 1 - digits / 255)
    assert cli.main(["predict", "mlp", path]) == 0
    out, err = capsys.readouterr()
    assert err == (
        f"tinygrad_kr: note: {path}: dark on a light ground, so inverted first; --no-invert takes it as it is\n"
    )
    table = np.array([[float(word) for word in line.split()] for line in out.splitlines()[1:]])
    np.testing.assert_array_equal(table[:, 1], expected[:, 1])
    if kind != "large.png":
        np.testing.assert_allclose(table, expected, atol=2e-4)
    np.testing.assert_array_equal(predicted(capsys, "mlp", path, "--invert"), table)
    assert np.any(predicted(capsys, "mlp", path, "--no-invert") != table)


def test_every_digit_of_the_sample_is_seen_as_it_is() -> None:
    training, test = load_mnist_sample(flatten=False)
    for image in np.concatenate([training[0], test[0]])[:, 0]:
        assert light_border(image) < DARK_GROUND
        assert light_border(1 - image) > LIGHT_GROUND


def test_some_of_many_images_are_inverted(capsys: pytest.CaptureFixture[str]) -> None:
    expected = predicted(capsys, "mlp", "floats.npy")
    images = np.load("floats.npy")
    images[[2, 5]] = 1 - images[[2, 5]]
    np.save("mixed.npy", images)
    assert cli.main(["predict", "mlp", "mixed.npy"]) == 0
    out, err = capsys.readouterr()
    assert "mixed.npy: dark on a light ground in 2 of 30 images, so inverted first" in err
    assert [int(line.split()[1]) for line in out.splitlines()[1:]] == expected[:, 1].tolist()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_image_is_called_blank(value: int, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.load("bytes.npy")[:3]
    images[1] = value
    np.save("some.npy", images)
    expected = predicted(capsys, "mlp", "bytes.npy")
    assert cli.main(["predict", "mlp", "some.npy"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    labels = [line.split()[1] for line in out.splitlines()[1:]]
    assert labels == [f"{expected[0, 1]:.0f}", "blank", f"{expected[2, 1]:.0f}"]
    assert out.splitlines()[2].split() == ["1", "blank"]
    Image.fromarray(images[1]).save("blank.png")
    assert cli.main(["predict", "mlp", "blank.png"]) == 2
    assert "blank.png: no digit to be seen" in error_line(capsys)


def test_predict_a_transparent_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """What is transparent is ground, light or dark."""
    digit = np.load("bytes.npy")[0]
    expected = predicted(capsys, "mlp", "digit.png")
    for ink, invert in ((255, []), (0, ["--invert"])):
        Image.fromarray(np.dstack([np.full_like(digit, ink)] * 3 + [digit])).save("clear.png")
        np.testing.assert_allclose(predicted(capsys, "mlp", "clear.png", *invert), expected, atol=1e-3)
    assert cli.main(["predict", "mlp", "clear.png"]) == 0
    out, err = capsys.readouterr()
    assert "dark on a light ground" in err
    assert int(out.splitlines()[1].split()[1]) == expected[0, 1]


def test_predict_from_weights_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with_run = predicted(capsys, "mlp", "bytes.npy")
    Path("alone").mkdir()
    for run in ("two", "mlp", "own"):
        shutil.copy(f"{run}/weights.safetensors", f"alone/{run}.safetensors")
    np.testing.assert_array_equal(predicted(capsys, "alone/mlp.safetensors", "bytes.npy"), with_run)
    assert len(predicted(capsys, "alone/two.safetensors", "bytes.npy")) == 30
    assert len(predicted(capsys, "alone/own.safetensors", "bytes.npy", "--model", "nets.py:small")) == 30
    assert cli.main(["predict", "alone/own.safetensors", "bytes.npy"]) == 2
    assert "name it with --model PATH.py:factory" in error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "bytes.npy"], "nowhere: no such folder or file"),
        (["empty", "bytes.npy"], "empty: no finished run there"),
        (["nets.py", "bytes.npy"], "expected a folder of a run, or weights"),
        (["own", "bytes.npy"], "its network is code from"),
        (["mlp", "bytes.npy", "--model", "cnn"], "--model cnn: the run has mlp"),
        (["two/damaged.npz", "bytes.npy"], "damaged.npz"),
        (["mlp", "nowhere.npy"], "nowhere.npy: no such file"),
        (["mlp", "nets.py"], "nets.py: expected IDX of unsigned bytes"),
        (["mlp", "small.npy"], "expected images of 28 x 28 pixels, found shape (3, 3)"),
        (["mlp", "negative.npy"], "expected pixels as uint8, or from 0 to 1, found -1 to -1"),
        (["mlp", "objects.npy"], "objects.npy: not an array"),
        (["mlp", "broken.png"], "broken.png: not a picture"),
        (["mlp", "deep.png"], "deep.png: expected 8 bits a pixel, found a picture of mode I;16"),
        (["mlp", "grey.jpg"], "grey.jpg: no digit to be seen"),
        (
            ["mlp", "half.png"],
            "half.png: its border does not show whether the digit is dark",
        ),
        (["claims", "bytes.npy"], "expected the weights of 784-500000-10, as settings.json says; found others"),
        (["helps", "bytes.npy"], "settings.json: train has no option 'help'"),
        (["mlp", "bytes.npy", "nowhere.npy"], "nowhere.npy: no such file"),
    ],
)
def test_what_cannot_be_predicted(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("two", "damaged.npz").write_bytes(b"PK")
    Path("broken.png").write_bytes(b"\x89PNG broken")
    Image.fromarray(np.zeros((28, 28), np.uint16)).save("deep.png")
    Image.fromarray(np.full((50, 50), 128, np.uint8)).save("grey.jpg")
    Image.fromarray(np.repeat([[0, 255]], 14, axis=1).repeat(28, axis=0).astype(np.uint8)).save("half.png")
    for name, options in (("claims", {"hidden": 500_000}), ("helps", {"hidden": 8, "help": True})):
        Path(name).mkdir()
        shutil.copy("two/weights.safetensors", name)
        Path(name, "settings.json").write_text(json.dumps({"options": options}))
    np.save("small.npy", np.zeros((3, 3)))
    np.save("negative.npy", -np.ones((28, 28)))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    assert cli.main(["predict", *arguments]) == 2
    assert message in error_line(capsys)


@pytest.mark.parametrize("run", ["two", "mlp"])
def test_plot_draws_a_run(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", run]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    paths = sorted(Path(run, "pictures").iterdir())
    names = ["activations.png", "confusion.png", "curve.png", "digits.png", "graph.svg", "weights.png"]
    assert [path.name for path in paths] == names
    assert out.splitlines() == [f"written to {path}" for path in paths]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths if path.suffix == ".png")
    graph = Path(run, "pictures", "graph.svg").read_text()
    assert graph.startswith("<svg") and "gradient norm" in graph and "softmax_cross_entropy" in graph
    assert cli.main(["plot", run]) == 2
    assert "already has curve.png" in error_line(capsys)


def test_plot_without_a_korean_font_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "font_with_hangul", lambda: None)
    assert cli.main(["plot", "two", "--lang", "ko"]) == 0
    _, err = capsys.readouterr()
    assert re.fullmatch(r"tinygrad_kr: note: no installed font has Hangul.*\n", err)


@pytest.mark.parametrize("large", ["settings", "bias"])
def test_settings_cannot_make_it_take_memory(large: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a network of 500,000 hidden units would take is 1.6 GB in float32."""
    arrays = load("two/weights.safetensors")[0] | ({"b1": np.zeros(500_000, np.float32)} if large == "bias" else {})
    save("two/weights.safetensors", arrays)
    Path("two", "settings.json").write_text(json.dumps({"options": {"hidden": 500_000}}))
    if large == "bias":
        Path("two", "settings.json").unlink()  # so that the hidden units are guessed
    tracemalloc.start()
    try:
        assert cli.main(["predict", "two/weights.safetensors", "bytes.npy"]) == 2
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert "expected the weights of 784-500000-10" in error_line(capsys)


@pytest.mark.parametrize("run", ["two/weights.safetensors", "two/settings.json"])
def test_a_file_is_not_plotted(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", run]) == 2
    assert f"{run} is a file: expected the folder of a run" in error_line(capsys)


def test_errors_of_the_system_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    Path("two", "history.csv").unlink()
    assert cli.main(["plot", "two"]) == 2
    assert error_line(capsys) == "tinygrad_kr: error: two: no finished run there: it has no history.csv\n"
    Path("two", "weights.safetensors").unlink()
    Path("two", "weights.safetensors").symlink_to("weights.safetensors")
    assert cli.main(["predict", "two/weights.safetensors", "bytes.npy"]) == 2
    assert "Errno" not in error_line(capsys)


def test_what_cannot_be_plotted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", "nowhere"]) == 2
    assert "nowhere: no such folder" in error_line(capsys)
    Path("mlp", "history.csv").write_text("epoch,loss\n1,2\n")
    assert cli.main(["plot", "mlp", "--out", "new"]) == 2
    assert "is not the history of a run" in error_line(capsys)
    assert not Path("new").exists()


def test_datasets_list(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(mnist.DATA_VARIABLE, "digits")
    assert cli.main(["datasets", "list"]) == 0
    out, _ = capsys.readouterr()
    assert re.search(r"^MNIST sample +6,000 +1,000 ", out, re.MULTILINE)
    assert re.search(r"^MNIST +60,000 +10,000  digits \(not fetched\)$", out, re.MULTILINE)


def test_datasets_verify_and_fetch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[Any] = []

    def download(into: Path, files: Any) -> None:
        fetched.extend(files)
        shutil.copytree(mnist.SAMPLE_FOLDER, into, dirs_exist_ok=True)

    monkeypatch.setattr(mnist, "download", download)
    monkeypatch.setattr(mnist, "MNIST", mnist.SAMPLE)
    assert cli.main(["datasets", "verify", "here"]) == 2
    assert "train-images-idx3-ubyte is missing, train-labels" in error_line(capsys)
    assert cli.main(["datasets", "fetch", "here"]) == 0
    assert fetched == list(mnist.SAMPLE)
    assert cli.main(["datasets", "fetch", "here"]) == 0
    assert fetched == list(mnist.SAMPLE)
    capsys.readouterr()
    assert cli.main(["datasets", "verify", "here"]) == 0
    assert capsys.readouterr().out.count("right") == 4
    next(folder.glob("here/t10k-labels*")).write_bytes(b"foreign")
    assert cli.main(["datasets", "verify", "here"]) == 2
    assert "t10k-labels-idx1-ubyte is wrong" in error_line(capsys)
    assert datasets._default() != Path("here")


@pytest.mark.parametrize("arguments", [["datasets"], ["datasets", "burn"], ["predict", "mlp"], ["plot"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    error_line(capsys)


def test_a_run_is_opened_in_evaluation() -> None:
    assert not any(module.training for _, module in open_run(Path("mlp")).network.named_modules())
