"""The data sets: every check on a file, every place it may come from, and every way to draw a batch."""

from __future__ import annotations

import doctest
import gzip
import hashlib
import importlib
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tinygrad_kr import datasets
from tinygrad_kr.datasets import (
    batches,
    load_mnist,
    load_mnist_sample,
    mnist,
    one_hot,
    read_idx,
    sample_batch,
)
from tinygrad_kr.errors import DataError, DtypeError, LabelError, ShapeError
from tools import make_sample

NAMES = [file.name for file in mnist.MNIST]
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
WHOLE = next(
    (
        folder
        for folder in (Path(os.environ.get("TINYGRAD_KR_DATA") or SHARED), SHARED)
        if all(file.path(folder).is_file() for file in mnist.MNIST)
    ),
    None,
)
needs_whole = pytest.mark.skipif(WHOLE is None, reason="the whole of MNIST is not here")
uint8_arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def read_bytes(content: bytes, **expected: Any) -> NDArray[np.uint8]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "digits")
        path.write_bytes(content)
        return read_idx(path, **expected)


def readable(raised: pytest.ExceptionInfo[BaseException], *parts: object) -> str:
    """The message, once it is known to be one line of bearable length that has all the parts."""
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 300, message
    for part in parts:
        assert str(part) in message
    return message


def copy_sample(folder: Path, compressed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        content = (mnist.SAMPLE_FOLDER / f"{name}.gz").read_bytes()
        if compressed:
            (folder / f"{name}.gz").write_bytes(content)
        else:
            (folder / name).write_bytes(gzip.decompress(content))
    return folder


@given(uint8_arrays, st.booleans())
def test_read_idx_returns_what_was_written(values: NDArray[np.uint8], compressed: bool) -> None:
    content = idx_bytes(values)
    found = read_bytes(gzip.compress(content) if compressed else content)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    np.testing.assert_array_equal(found, values, strict=True)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    position = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["truncate", "flip", "extend", "header"]))
    if kind == "truncate":
        return content[:position]
    if kind == "flip":
        flipped = content[position] ^ draw(st.integers(1, 255))
        return content[:position] + bytes([flipped]) + content[position + 1 :]
    if kind == "extend":
        return content + draw(st.binary(min_size=1, max_size=40))
    return draw(st.binary(min_size=16, max_size=16)) + content[16:]


@given(st.data(), st.booleans())
def test_damage_is_an_error_or_does_not_matter(data: st.DataObject, compressed: bool) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    content = idx_bytes(values)
    stored = gzip.compress(content, mtime=0) if compressed else content
    altered = data.draw(damaged(stored))
    try:
        found = read_bytes(altered, shape=values.shape, sha256=hashlib.sha256(content).hexdigest())
    except DataError as error:
        assert "\n" not in str(error)
        assert altered != stored
    else:
        assert compressed or altered == stored
        np.testing.assert_array_equal(found, values, strict=True)


@given(st.data(), st.booleans())
def test_damage_without_a_digest_is_never_another_exception(data: st.DataObject, compressed: bool) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    content = data.draw(damaged(idx_bytes(values)))
    try:
        found = read_bytes(gzip.compress(content) if compressed else content)
    except DataError as error:
        assert "digits: expected" in str(error)
    else:
        assert idx_bytes(found) == content


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        (b"", "00000801 to 00000804", "nothing"),
        (b"\0\0", "00000801 to 00000804", "0000"),
        (b"PK\3\4 a zip file", "00000801 to 00000804", "504b0304"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "unsigned bytes", "00000d01"),
        (b"\0\0\x08\0", "00000801 to 00000804", "00000800"),
        (b"\0\0\x08\5" + b"\0\0\0\1" * 5 + b"\0", "00000801 to 00000804", "00000805"),
        (b"\0\0\x08\3\0\0\0\1\0\0", "3 dimensions", "the file's end"),
        (b"\0\0\x08\2\0\0\0\2\0\0\0\3abcde", "6 values for the shape (2, 3)", "only 5"),
        (b"\0\0\x08\2\0\0\0\2\0\0\0\3abcdefg", "6 values for the shape (2, 3)", "more"),
        (
            b"\0\0\x08\2\xff\xff\xff\xff\xff\xff\xff\xff",
            "at most 1073741824 values",
            "the shape (4294967295, 4294967295)",
        ),
        (b"\0\0\x08\4\0\0\0\0" + b"\xff" * 12, "at most 1073741824 values", "the shape (0, 4294967295"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\1a")[:-3], "a whole gzip file", "a damaged one"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_foreign_file_says_what_was_expected_and_found(
    tmp_path: Path, content: bytes, expected: str, found: str
) -> None:
    path = tmp_path / "digits"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_idx(path)
    readable(raised, path, expected, f"found {found}")


def test_another_shape_or_digest_is_refused() -> None:
    content = idx_bytes(np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError) as raised:
        read_bytes(content, shape=(3, 2))
    readable(raised, "expected the shape (3, 2), found (2, 3)")
    with pytest.raises(DataError) as raised:
        read_bytes(content, sha256="0" * 64)
    readable(raised, "altered", "0" * 16, hashlib.sha256(content).hexdigest()[:16])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError) as raised:
            read_idx(path)
        readable(raised, path, "no such file")


@pytest.mark.parametrize("header_shape", [(1, 28, 28), (2**16, 2**16)])
def test_a_gzip_bomb_stays_small(tmp_path: Path, header_shape: tuple[int, ...]) -> None:
    bomb = tmp_path / "bomb.gz"
    header = idx_bytes(np.broadcast_to(np.uint8(0), (1,) * len(header_shape)))[: 4 + 4 * len(header_shape)]
    sizes = b"".join(size.to_bytes(4, "big") for size in header_shape)
    bomb.write_bytes(gzip.compress(header[:4] + sizes + bytes(2**26), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"more|at most"):
            read_idx(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_the_sample_is_balanced_and_mixed() -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist_sample()
    assert (x_train.shape, x_test.shape) == ((6000, 784), (1000, 784))
    assert x_train.dtype == x_test.dtype == np.float32
    assert t_train.dtype == t_test.dtype == np.int64
    assert np.bincount(t_train).tolist() == [600] * 10
    assert np.bincount(t_test).tolist() == [100] * 10
    assert (x_train.min(), x_train.max()) == (0.0, 1.0)
    for t in (t_train, t_test):
        assert all(len(np.unique(stretch)) == 10 for stretch in np.split(t, len(t) // 100))


def test_the_sample_has_no_digit_twice() -> None:
    (x_train, _), (x_test, _) = load_mnist_sample(normalize=False)
    assert len(np.unique(np.concatenate([x_train, x_test]), axis=0)) == 7000


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("one_hot_label", [True, False])
def test_the_options_change_the_form_only(normalize: bool, flatten: bool, one_hot_label: bool) -> None:
    plain = load_mnist_sample(normalize=False, flatten=False)
    for (pixels, labels), (x, t) in zip(plain, load_mnist_sample(normalize, flatten, one_hot_label), strict=True):
        count = len(pixels)
        assert x.shape == ((count, 784) if flatten else (count, 1, 28, 28))
        assert x.dtype == (np.float32 if normalize else np.uint8)
        expected = pixels.astype(np.float32) / np.float32(255) if normalize else pixels
        np.testing.assert_array_equal(x.ravel(), expected.ravel())
        assert t.shape == ((count, 10) if one_hot_label else (count,))
        assert t.dtype == (np.float32 if one_hot_label else np.int64)
        np.testing.assert_array_equal(t.argmax(axis=1) if one_hot_label else t, labels)


def test_what_is_loaded_may_be_changed() -> None:
    (x_train, t_train), _ = load_mnist_sample(normalize=False)
    x_train[0] = 7
    t_train[0] = 7
    (fresh, _), _ = load_mnist_sample(normalize=False)
    assert not (fresh[0] == 7).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_altered_sample_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(mnist, "SAMPLE_FOLDER", copy_sample(tmp_path))
    path = tmp_path / f"{name}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError) as raised:
        load_mnist_sample()
    readable(raised, path, "altered")


@needs_whole
def test_the_whole_of_mnist() -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(WHOLE)
    assert (x_train.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert x_train.dtype == np.float32
    assert t_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert t_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert x_train.mean() == pytest.approx(0.1307, abs=1e-4)


@needs_whole
def test_the_sample_can_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_sample.main(["--data", str(WHOLE), "--out", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    for file in mnist.SAMPLE:
        assert file.sha256 in printed
        made = (tmp_path / "new" / f"{file.name}.gz").read_bytes()
        kept = (mnist.SAMPLE_FOLDER / f"{file.name}.gz").read_bytes()
        assert gzip.decompress(made) == gzip.decompress(kept)
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # zlib-ng finds other, equally right, compressed bytes
            assert made == kept


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, a data set that is the sample, and no network."""

    def forbidden(folder: Path, files: list[mnist.IdxFile]) -> None:
        assert not files, "a download was started"

    monkeypatch.setattr(mnist, "MNIST", mnist.SAMPLE)
    monkeypatch.setattr(mnist, "download", forbidden)
    monkeypatch.delenv("TINYGRAD_KR_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("compressed", [True, False])
def test_a_directory_is_read_plain_or_compressed(places: Path, compressed: bool) -> None:
    folder = copy_sample(places / "data", compressed)
    for found, expected in zip(load_mnist(folder), load_mnist_sample(), strict=True):
        np.testing.assert_array_equal(found[0], expected[0], strict=True)
        np.testing.assert_array_equal(found[1], expected[1], strict=True)
    assert load_mnist(str(folder), one_hot_label=True, flatten=False)[1][1].shape == (1000, 10)


def test_the_directory_comes_before_the_environment(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_KR_DATA", str(places / "empty"))
    load_mnist(copy_sample(places / "data"))


def test_the_environment_comes_before_the_cache(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_sample(places / "home" / ".cache" / "tinygrad_kr" / "mnist")
    monkeypatch.setenv("TINYGRAD_KR_DATA", "~/data")
    with pytest.raises(FileNotFoundError) as raised:
        load_mnist()
    readable(raised, places / "home" / "data", *NAMES, "TINYGRAD_KR_DATA")
    copy_sample(places / "home" / "data")
    load_mnist()


def test_the_cache_is_where_the_platform_has_it(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_KR_DATA", "")
    copy_sample(places / "home" / ".cache" / "tinygrad_kr" / "mnist")
    load_mnist()
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "xdg"))
    with pytest.raises(AssertionError, match="a download was started"):
        load_mnist()
    copy_sample(places / "xdg" / "tinygrad_kr" / "mnist")
    load_mnist()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(places / "windows"))
    assert mnist.cache_folder() == places / "windows" / "tinygrad_kr" / "mnist"


@pytest.mark.parametrize("folder", ["absent", "incomplete", ""])
def test_a_named_folder_that_lacks_files_is_never_downloaded_into(
    places: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    copy_sample(places / "incomplete")
    (places / "incomplete" / f"{NAMES[2]}.gz").unlink()
    monkeypatch.chdir(places)
    with pytest.raises(FileNotFoundError) as raised:
        load_mnist(folder)
    message = readable(raised, Path(folder), NAMES[2], "put the files there", "unset TINYGRAD_KR_DATA")
    assert (NAMES[0] in message) == (folder != "incomplete")


def test_a_file_in_the_place_of_another_is_refused(places: Path) -> None:
    folder = copy_sample(places / "data")
    path = folder / f"{NAMES[0]}.gz"
    path.write_bytes((folder / f"{NAMES[2]}.gz").read_bytes())
    with pytest.raises(DataError) as raised:
        load_mnist(folder)
    readable(raised, path, "expected the shape (6000, 28, 28), found (1000, 28, 28)")


class Mirror:
    """A server on this machine that sends the sample, or whatever a test puts in its place."""

    def __init__(self) -> None:
        self.contents = {f"/{name}.gz": (mnist.SAMPLE_FOLDER / f"{name}.gz").read_bytes() for name in NAMES}
        self.announced: dict[str, int] = {}
        self.requests: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                content = mirror.contents.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(mirror.announced.get(self.path, len(content))))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "*")
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()
    thread.join()


def test_a_download_fills_the_cache_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mnist, "MNIST", mnist.SAMPLE)
    monkeypatch.setattr(mnist, "download", partial(mnist.download, base_url=mirror.url))
    monkeypatch.delenv("TINYGRAD_KR_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "tinygrad_kr" / "mnist"
    cache.mkdir(parents=True)
    (cache / f"{NAMES[1]}.gz").write_bytes(mirror.contents[f"/{NAMES[1]}.gz"])

    (x_train, _), _ = load_mnist()
    np.testing.assert_array_equal(x_train, load_mnist_sample()[0][0])
    wanted = [f"/{NAMES[0]}.gz", f"/{NAMES[2]}.gz", f"/{NAMES[3]}.gz"]
    assert mirror.requests == wanted
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    shown = capsys.readouterr().err
    assert all(path[1:] in shown for path in wanted)

    load_mnist()
    assert mirror.requests == wanted


def test_without_tqdm_progress_is_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    mnist.download(tmp_path, mnist.SAMPLE[:2], base_url=mirror.url)
    lines = [f"downloading {mirror.url}{name}.gz" for name in NAMES[:2]]
    assert capsys.readouterr().err.splitlines() == lines


def test_a_download_without_a_standard_error_gives_files_for_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Mirror
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    mnist.download(tmp_path, mnist.SAMPLE[3:], base_url=mirror.url)
    (tmp_path / "any").touch()
    assert (tmp_path / f"{NAMES[3]}.gz").stat().st_mode == (tmp_path / "any").stat().st_mode


def refused_download(folder: Path, mirror_url: str, error: type[Exception], *parts: object) -> None:
    with pytest.raises(error) as raised:
        mnist.download(folder, mnist.SAMPLE[3:], base_url=mirror_url)
    readable(raised, f"{mirror_url}{NAMES[3]}.gz", folder, "by hand", "TINYGRAD_KR_DATA", *parts)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_transfer_that_breaks_off_leaves_nothing(tmp_path: Path, mirror: Mirror, kept: int) -> None:
    path = f"/{NAMES[3]}.gz"
    mirror.announced[path] = len(mirror.contents[path])
    mirror.contents[path] = mirror.contents[path][:kept]
    refused_download(tmp_path, mirror.url, OSError, "cannot download")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>maintenance</html>", "expected IDX"),
        (b"", "found nothing"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\1a"), "expected the shape (1000,), found (1,)"),
        (gzip.compress(b"\0\0\x08\1\0\0\x03\xe8" + bytes(1000)), "altered"),
        (gzip.compress(b"\0\0\x08\1\0\0\x03\xe8" + bytes(1000))[:-1], "damaged"),
        (bytes(1001), "expected at most 1000 bytes"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_download_of_something_else_leaves_nothing(
    tmp_path: Path, mirror: Mirror, content: bytes, reason: str
) -> None:
    mirror.contents[f"/{NAMES[3]}.gz"] = content
    refused_download(tmp_path, mirror.url, DataError, reason)


def test_a_file_that_the_mirror_lacks_is_an_error(tmp_path: Path, mirror: Mirror) -> None:
    mirror.contents.clear()
    refused_download(tmp_path, mirror.url, OSError, "404")


def test_a_server_that_is_down_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    closed = Mirror()
    closed.server.server_close()
    refused_download(tmp_path, closed.url, OSError, "cannot download")


@given(
    st.integers(1, 12).flatmap(
        lambda classes: st.tuples(
            st.just(classes),
            hnp.arrays(
                st.sampled_from([np.int8, np.uint8, np.int64, np.uint64]),
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
                elements=st.integers(0, classes - 1),
            ),
        )
    )
)
def test_one_hot_is_one_at_the_label(case: tuple[int, NDArray[Any]]) -> None:
    classes, labels = case
    rows = one_hot(labels, classes)
    assert rows.shape == (*labels.shape, classes)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows.sum(axis=-1), np.ones(labels.shape))
    np.testing.assert_array_equal(rows.argmax(axis=-1), labels)


def test_one_hot_has_the_dtype_asked_for() -> None:
    assert one_hot([1], 2, dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "label", "position"),
    [([0, 9, 10], 10, "2"), ([-1, 0], -1, "0"), ([[0, 1], [11, 2]], 11, "(1, 0)"), (10, 10, "()")],
)
def test_one_hot_names_a_label_out_of_range(labels: Any, label: int, position: str) -> None:
    with pytest.raises(LabelError) as raised:
        one_hot(labels, 10)
    assert readable(raised, "from 0 to 9 for 10 classes").endswith(f"found {label} at position {position}")


@pytest.mark.parametrize("labels", [[0.0, 1.0], [True, False], ["0"]])
def test_one_hot_wants_integers(labels: Any) -> None:
    with pytest.raises(DtypeError) as raised:
        one_hot(labels, 2)
    readable(raised, np.asarray(labels).dtype, "astype(np.int64)")


def test_sample_batch_is_the_draw_of_the_documents() -> None:
    x = np.arange(20.0).reshape(10, 2)
    t = np.arange(10)
    x_batch, t_batch = sample_batch(x, t, 100, np.random.default_rng(3))
    index = np.random.default_rng(3).choice(10, 100)
    np.testing.assert_array_equal(t_batch, index)
    np.testing.assert_array_equal(x_batch, x[index])
    assert len(np.unique(t_batch)) < len(t_batch)


@given(
    st.integers(0, 30),
    st.integers(1, 12),
    st.none() | st.integers(0, 2**32),
    st.booleans(),
    st.integers(1, 3),
)
def test_batches_cover_every_index_once(
    count: int, batch_size: int, seed: int | None, drop_last: bool, width: int
) -> None:
    x = np.arange(count * width).reshape(count, width)
    t = np.arange(count)
    rng = None if seed is None else np.random.default_rng(seed)
    epoch = list(batches(x, t, batch_size, rng, drop_last))
    sizes = [len(t_batch) for _, t_batch in epoch]
    full, rest = divmod(count, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0 and not drop_last)
    for x_batch, t_batch in epoch:
        np.testing.assert_array_equal(x_batch, x[t_batch])
    seen = np.concatenate([t_batch for _, t_batch in epoch]) if epoch else np.array([], int)
    assert len(np.unique(seen)) == len(seen) == sum(sizes)
    if seed is None:
        np.testing.assert_array_equal(seen, t[: len(seen)])


def test_batches_are_shuffled_anew_from_one_generator() -> None:
    t = np.arange(100)

    def epoch(rng: np.random.Generator) -> list[int]:
        return [int(label) for _, batch in batches(t, t, 7, rng) for label in batch]

    rng = np.random.default_rng(0)
    first, second = epoch(rng), epoch(rng)
    assert first != second
    assert first != t.tolist()
    assert first == epoch(np.random.default_rng(0))


@pytest.mark.parametrize("draw", [sample_batch, batches])
def test_a_batch_is_a_copy(draw: Any) -> None:
    x = np.zeros(4)
    drawn = draw(x, x, 2, np.random.default_rng(0))
    for batch, _ in [drawn] if draw is sample_batch else drawn:
        batch += 1
    for batch, _ in batches(x, x, 2):
        batch += 1
    assert not x.any()


@pytest.mark.parametrize("draw", [sample_batch, batches])
def test_mistakes_are_reported_at_the_call(draw: Any) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError) as raised:
        draw(np.zeros((3, 2)), np.zeros(4), 1, rng)
    readable(raised, "len(x)=3", "len(t)=4")
    for batch_size in (0, -2):
        with pytest.raises(ValueError, match=f"at least 1, got {batch_size}"):
            draw(np.zeros(3), np.zeros(3), batch_size, rng)
    with pytest.raises(TypeError):
        draw(np.zeros(3), np.zeros(3), 1.5, rng)
    for seed in (7, np.random.RandomState(7)):
        with pytest.raises(TypeError) as mistaken:
            draw(np.zeros(3), np.zeros(3), 1, seed)
        readable(mistaken, type(seed).__name__, "np.random.default_rng(seed)")


def test_there_must_be_something_to_draw_from() -> None:
    with pytest.raises(ValueError, match="x and t empty"):
        sample_batch(np.zeros(0), np.zeros(0), 1, np.random.default_rng(0))


def test_importing_takes_numpy_and_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import tinygrad_kr.datasets; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names), 'urllib.request' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['numpy', 'tinygrad_kr'] False"


@pytest.mark.parametrize("name", ["idx", "minibatch", "mnist"])
def test_the_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"tinygrad_kr.datasets.{name}")).failed == 0


def test_every_public_name_exists() -> None:
    assert all(callable(getattr(datasets, name)) for name in datasets.__all__)
