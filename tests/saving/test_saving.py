"""Files of weights: what comes back, what is refused, and what is left when a save fails."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_kr import Tensor, no_grad
from tinygrad_kr import functional as F
from tinygrad_kr.cli.run_folder import write_settings
from tinygrad_kr.cli.train_options import TrainOptions
from tinygrad_kr.diagram import draw
from tinygrad_kr.errors import DataError, DtypeError, MutationError
from tinygrad_kr.gradcheck import pages
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.nn import BatchNorm, Linear, Module
from tinygrad_kr.saving import formats, load, load_weights, save, save_weights

FORMATS = ["npz", "safetensors"]
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
LIMIT = 80 * 2**20
"""Bytes that no load of a small file may reach: a little more than what a compressed file may unfold to."""


@pytest.fixture(params=FORMATS)
def path(request: Any, tmp_path: Path) -> Path:
    return tmp_path / f"net.{request.param}"


class Network(Module):
    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.first, self.norm, self.last = Linear(3, 4, rng=rng), BatchNorm(4), Linear(4, 2, rng=rng)

    def forward(self, x: Any) -> Any:
        return self.last(self.norm(self.first(x)))


def network(seed: int = 0) -> Network:
    return Network(seed)


def state(model: Any) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in model.state().items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        array.dtype == other[name].dtype and np.array_equal(array, other[name], equal_nan=array.dtype.kind in "fc")
        for name, array in one.items()
    )


# What comes back

NAMES = st.text(min_size=1, max_size=8).filter(
    lambda name: name.isprintable() and not set(name) & set("/\\:") and not name.startswith("__")
)
ARRAYS = hnp.arrays(
    st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "u1", "<u2", "?"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    arrays=st.dictionaries(NAMES, ARRAYS, max_size=3),
    metadata=st.dictionaries(st.text(), JSON, max_size=3),
    ending=st.sampled_from(FORMATS),
)
def test_what_is_saved_comes_back(
    tmp_path_factory: Any, arrays: dict[str, np.ndarray], metadata: dict[str, Any], ending: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a.{ending}"
    save(path, {name: array.T for name, array in arrays.items()}, metadata)
    loaded, notes = load(path)
    assert notes == metadata
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array.T)
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        assert loaded[name].dtype.isnative
        assert loaded[name].flags.writeable
        assert loaded[name].flags.c_contiguous


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, -0.0, 5e-324, np.float64(0.1)])
def test_floats_come_back_to_the_last_bit(path: Path, number: float) -> None:
    save(path, {"a": np.array([number])}, {"number": float(number)})
    arrays, metadata = load(path)
    assert arrays["a"].tobytes() == np.array([number]).tobytes()
    assert np.float64(metadata["number"]).tobytes() == np.float64(number).tobytes()


def test_memory_layouts(path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    views = {
        "slice": base[::2, ::-3],
        "fortran": np.asfortranarray(base),
        "swapped": base.astype(">f8"),
        "scalar": np.float32(3),
        "broadcast": np.broadcast_to(np.arange(3), (5, 3)),
        "tensor": Tensor([1.0], requires_grad=True),
    }
    save(path, views)
    for name, array in load(path)[0].items():
        np.testing.assert_array_equal(array, getattr(views[name], "data", None) if name == "tensor" else views[name])


def test_the_same_arrays_give_the_same_bytes(path: Path) -> None:
    save(path, network(), {"epoch": 1})
    before = path.read_bytes()
    save(path, network(), {"epoch": 1})
    assert path.read_bytes() == before


def test_other_programs_read_our_files(tmp_path: Path) -> None:
    net = TwoLayerNet(3, 4, 2)
    save(tmp_path / "a.npz", net)
    save(tmp_path / "a.safetensors", net)
    with np.load(tmp_path / "a.npz") as by_numpy:
        np.testing.assert_array_equal(by_numpy["W1"], net.params["W1"].data)
    by_library = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert same(by_library, {name: p.data for name, p in net.params.items()})


def test_we_read_files_of_other_programs(tmp_path: Path) -> None:
    arrays = {
        "W": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "b": np.zeros((0, 3), np.int32),
        "c": np.array(1 + 2j),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays, zeros=np.zeros(10**6))
    assert same(load(tmp_path / "a.npz")[0], arrays)
    assert same(load(tmp_path / "b.npz")[0], {**arrays, "zeros": np.zeros(10**6)})
    assert load(tmp_path / "a.npz")[1] == {}
    safetensors.numpy.save_file({"W": np.ones(3)}, tmp_path / "a.safetensors", metadata={"made": "elsewhere"})
    assert load(tmp_path / "a.safetensors")[1] == {"made": "elsewhere"}
    safetensors.numpy.save_file({"W": np.ones(3)}, tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors")[1] == {}


def test_save_weights_and_load_weights_take_any_name(tmp_path: Path) -> None:
    save_weights(tmp_path / "weights", {"W": np.ones(2)}, {"made": "here"})
    assert same(load_weights(tmp_path / "weights"), {"W": np.ones(2)})
    os.rename(tmp_path / "weights", tmp_path / "weights.safetensors")
    assert load(tmp_path / "weights.safetensors")[1] == {"made": "here"}


# Into a model


def test_a_module_gets_its_parameters_and_buffers_back(path: Path) -> None:
    net, copy = network(0), network(1)
    net(np.random.default_rng(0).normal(size=(8, 3)))  # moves the running statistics
    save(path, net, {"accuracy": 0.97})
    arrays, metadata = load(path, copy)
    assert metadata == {"accuracy": 0.97}
    assert same(state(copy), state(net))
    assert same(arrays, state(net))
    assert "norm.running_mean" in arrays


def test_two_layer_nets_and_dicts(path: Path) -> None:
    net, copy = TwoLayerNet(3, 4, 2), TwoLayerNet(3, 4, 2)
    places = {name: np.zeros(p.shape) for name, p in net.params.items()}
    save(path, net)
    load(path, copy)
    load(path, places)
    load(path, copy.predict)
    for name, parameter in net.params.items():
        np.testing.assert_array_equal(copy.params[name].data, parameter.data)
        np.testing.assert_array_equal(places[name], parameter.data)


def test_a_model_in_float32_takes_float64(path: Path) -> None:
    net = network().astype(np.float32)
    save(path, network(1))
    load(path, net)
    assert {array.dtype for array in state(net).values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(net.params["first.W"].data, network(1).params["first.W"].data, rtol=1e-6)


def test_loading_counts_as_a_change(path: Path) -> None:
    net = TwoLayerNet(3, 4, 2)
    save(path, net)
    loss = F.softmax_cross_entropy(net.scores(np.ones((2, 3))), np.array([0, 1]))
    load(path, net)
    with pytest.raises(MutationError):
        loss.backward()


def test_all_mismatches_are_listed_and_nothing_is_changed(path: Path) -> None:
    net = network()
    before = state(net)
    arrays = state(network(1))
    del arrays["last.b"]
    try:
        save(path, arrays | {"first.W": np.ones((3, 5)), "more": np.ones(2), "first.b": np.ones(4, np.complex64)})
    except DataError:
        pytest.skip("this safetensors cannot write complex64")
    with pytest.raises(DataError) as caught:
        load(path, net)
    message = str(caught.value)
    assert message.startswith(f"{path} does not fit the model:\n")
    for line in (
        "missing: last.b (2,)",
        "not expected: more (2,)",
        "first.W: expected shape (3, 4), got (3, 5)",
        "first.b: expected dtype float64, got complex64",
    ):
        assert f"\n  {line}\n" in message
    assert same(state(net), before)


def test_read_only_memory_is_a_misfit(path: Path) -> None:
    save(path, {"a": np.ones(2), "b": np.ones(2)})
    places = {"a": np.zeros(2), "b": np.broadcast_to(0.0, 2)}
    with pytest.raises(DataError, match="b: is read-only memory"):
        load(path, places)
    assert not places["a"].any()


# What is not saved


@pytest.mark.parametrize(
    ("model", "metadata", "error", "message"),
    [
        (3, None, TypeError, "expected a model .* or a dict of name to array, got int"),
        ({"a": np.array([None])}, None, DtypeError, "'a' must hold numbers, got dtype object"),
        ({"a": np.array(["x"])}, None, DtypeError, "'a' must hold numbers, got dtype <U1"),
        ({"a": np.zeros(1, [("x", "f8")])}, None, DtypeError, "'a' must hold numbers"),
        ({"a": np.zeros(1, "M8[s]")}, None, DtypeError, "'a' must hold numbers"),
        ({1: np.zeros(1)}, None, TypeError, "the name of an array must be a str, got 1"),
        ({"": np.zeros(1)}, None, ValueError, "cannot have the name ''"),
        ({"__metadata__": np.zeros(1)}, None, ValueError, "cannot have the name '__metadata__'"),
        ({"__tinygrad_kr__": np.zeros(1)}, None, ValueError, "cannot have the name"),
        ({"\ud800": np.zeros(1)}, None, ValueError, "surrogates not allowed"),
        ({"a": np.zeros(1)}, {"x": np.zeros(1)}, TypeError, "metadata must be what JSON can hold"),
        ({"a": np.zeros(1)}, {("x", 1): 1}, TypeError, "metadata must be what JSON can hold"),
    ],
)
def test_save_refuses(path: Path, model: Any, metadata: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        save(path, model, metadata)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "/root", "a/b", "a\\b", "C:x", "a\0b", "a\nb"])
def test_names_that_could_leave_the_folder_are_not_written_into_an_archive(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name in an npz file"):
        save(tmp_path / "a.npz", {name: np.zeros(1)})
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_any_length(tmp_path: Path) -> None:
    for length in (65_531, 65_532, 70_000):
        arrays = {"n" * length: np.ones(1)}
        save(tmp_path / "a.safetensors", arrays)
        assert same(load(tmp_path / "a.safetensors")[0], arrays)
        if length <= 65_531:
            save(tmp_path / "a.npz", arrays)
            assert same(load(tmp_path / "a.npz")[0], arrays)
        else:
            with pytest.raises(ValueError, match=rf"'n+'\.\.\. is too long for an npz file: {length + 4:,} bytes"):
                save(tmp_path / "a.npz", arrays)


@pytest.mark.parametrize("name", ["net", "net.pt", "net.npy", "net.NPZ"])
def test_the_format_is_in_the_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"the path must end in \.safetensors or \.npz, got '.*net"):
        save(tmp_path / name, {})
    with pytest.raises(ValueError, match=r"load: the path must end in"):
        load(tmp_path / name)


def test_safetensors_cannot_hold_every_dtype(tmp_path: Path) -> None:
    arrays = {"a": np.ones(2, np.complex128)}
    with pytest.raises(DtypeError, match=r"cannot hold 'a' of dtype complex128.\n  save to a path that ends in \.npz"):
        save(tmp_path / "a.safetensors", arrays)
    save(tmp_path / "a.npz", arrays)
    assert same(load(tmp_path / "a.npz")[0], arrays)


def test_what_the_library_refuses_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Safetensors 0.4 has no complex64."""

    def refuse(*_: Any, **__: Any) -> bytes:
        raise safetensors.SafetensorError("dtype complex64 is not covered")

    monkeypatch.setattr(safetensors.numpy, "save", refuse)
    with pytest.raises(DataError, match=r"complex64 is not covered\n  save to a path that ends in \.npz, or upgrade"):
        save(tmp_path / "a.safetensors", {"a": np.ones(2, np.complex64)})
    assert list(tmp_path.iterdir()) == []


# All of the new file, or all of the old one


def fails(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def half(descriptor: int) -> None:
    os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
    fails()


def interrupted(descriptor: int) -> None:
    os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "failing"), [("fsync", half), ("fsync", interrupted), ("fsync", fails), ("replace", fails)]
)
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, failing: Any
) -> None:
    save(path, {"a": np.ones(100)})
    monkeypatch.setattr(os, name, failing)
    with pytest.raises((OSError, KeyboardInterrupt)):
        save(path, {"a": np.zeros(100)})
    monkeypatch.undo()
    assert same(load(path)[0], {"a": np.ones(100)})
    assert list(path.parent.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_it_gets_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: [done.append(name), original(*a)][1])
    save(path, {"a": np.ones(3)})
    assert done == ["fsync", "replace", "fsync"] or (os.name != "posix" and done == ["fsync", "replace"])


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    save(path, {"W": np.ones(3)})
    before = path.read_bytes()
    with path.open("rb") as reader:
        save(path, {"W": np.zeros(3)})
        assert reader.read() == before


def test_what_a_killed_process_left_is_taken_over(path: Path) -> None:
    leftover = path.with_name(f".{path.name}.part")
    leftover.write_bytes(b"half of a file, and longer than all of the next one" * 1000)
    save(path, {"a": np.ones(3)})
    assert same(load(path)[0], {"a": np.ones(3)})
    assert list(path.parent.iterdir()) == [path]


posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_file_keeps_its_mode(path: Path, mode: int) -> None:
    save(path, {"a": np.ones(3)})
    path.chmod(mode)
    save(path, {"a": np.zeros(3)})
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("graph.svg", lambda path: draw(Tensor([1.0], requires_grad=True) * 2).save(path)),
        ("page.html", lambda path: pages.write(path, "<p>")),
        (
            "settings.json",
            lambda path: write_settings(path.parent, TrainOptions.from_arguments({}), "digits", None, None),
        ),
    ],
)
def test_what_else_is_written_keeps_its_mode_and_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    path.write_text("old")
    path.chmod(0o600)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert before != b"old"
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_new_file_has_the_mode_of_any_new_file(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save(path, {"a": np.ones(3)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@posix
@pytest.mark.parametrize("name", [".{}.part", ".{}.0123456789abcdef.part"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_lies_in_a_shared_folder_is_neither_followed_nor_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    """Also where somebody guesses the name of the temporary file: then the save fails."""
    trap, victim = path.with_name(name.format(path.name)), path.with_name("victim")
    victim.write_text("mine")
    if kind == "pipe":
        os.mkfifo(trap)
    elif kind == "folder":
        trap.mkdir()
    else:
        trap.symlink_to(victim if kind == "link" else path.with_name("nothing"))
    save(path, {"a": np.ones(3)})
    monkeypatch.setattr(os, "urandom", lambda _: bytes.fromhex("0123456789abcdef"))
    if "0123" in name:
        with pytest.raises(FileExistsError):
            save(path, {"a": np.zeros(3)})
    assert same(load(path)[0], {"a": np.ones(3)})
    assert sorted(path.parent.iterdir()) == sorted([path, trap, victim])
    assert victim.read_text() == "mine"


@posix
@pytest.mark.parametrize("name", [".{}.part", ".{}.0123456789abcdef.part"])
def test_who_holds_the_lock_is_not_waited_for_and_keeps_his_file(path: Path, name: str) -> None:
    """As of a process that is stopped in the middle of a save."""
    fcntl = pytest.importorskip("fcntl")
    theirs = path.with_name(name.format(path.name))
    theirs.write_bytes(b"half")
    with theirs.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        save(path, {"a": np.ones(3)})
        assert theirs.read_bytes() == b"half"
    save(path, {"a": np.ones(3)})
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_save_to_one_path_take_turns(path: Path) -> None:
    errors: list[BaseException] = []
    save(path, {"a": np.full(5000, 0.0)}, {"writer": 0})

    def write(number: int) -> None:
        try:
            for _ in range(15):
                save(path, {"a": np.full(5000, float(number))}, {"writer": number})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        arrays, metadata = load(path)
        assert np.all(arrays["a"] == metadata["writer"])
    assert errors == []
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_stays_one(path: Path) -> None:
    (path.parent / "deep").mkdir()
    path.symlink_to(path.parent / "deep" / path.name)
    save(path, {"a": np.ones(3)})
    assert path.is_symlink()
    assert (path.parent / "deep" / path.name).is_file()
    assert same(load(path)[0], {"a": np.ones(3)})


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(path.parent / "none" / path.name, {"a": np.ones(3)})
    with pytest.raises(FileNotFoundError):
        load(path)


# What is refused


def test_a_folder_is_no_file(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DataError, match=r"net\..* is not a .* file: it is no file at all"):
        load(path)
    with pytest.raises(OSError, match="directory"):
        save(path, {"a": np.ones(3)})
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_a_pipe_is_no_file(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(DataError, match="no file at all"):
        load(path)


def in_many_places(size: int) -> Iterator[int]:
    return iter(sorted({*range(0, size, max(1, size // 250)), size - 1}))


def test_every_truncation_is_noticed(path: Path) -> None:
    save(path, network(), {"epoch": 3})
    whole = path.read_bytes()
    for length in in_many_places(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"net\..*is not a (npz|safetensors) file, or is damaged: "):
            load(path)


def test_a_flipped_bit_is_noticed_or_does_no_harm(path: Path) -> None:
    save(path, network(), {"epoch": 3})
    whole, expected = path.read_bytes(), state(network())
    noticed = 0
    for position in in_many_places(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        try:
            arrays, _ = load(path)
        except DataError:
            noticed += 1
        else:
            assert same(arrays, expected)
    assert noticed > 100


def test_a_file_from_the_future(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygrad_kr.saving.files.VERSION", 2)
    save(path, {"a": np.ones(3)})
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"it has format 2, from a newer tinygrad_kr, and this one knows 1; upgrade it"):
        load(path)


def npz(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def npy(
    shape: str = "(3,)", descr: str = "'<f8'", data: bytes = bytes(24), order: str = "False", version: int = 1
) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


class Bomb:
    """Unpickling this would leave a trace."""

    def __reduce__(self) -> Any:
        return exec, ("import builtins; builtins.exploded = True",)


def object_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([Bomb()], dtype=object))
    return buffer.getvalue()


def patched(content: bytes, **changes: int) -> bytes:
    """Change a field of the first entry of an archive's directory."""
    start = content.index(b"PK\x01\x02")
    fields = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"), "size": (24, "<I"), "offset": (42, "<I")}
    result = bytearray(content)
    for name, value in changes.items():
        offset, form = fields[name]
        struct.pack_into(form, result, start + offset, value)
    return bytes(result)


def overlapping() -> bytes:
    """Two arrays, one of which lies inside the other: so a small file could unfold to its square."""
    inner = npz(("b.npy", npy("(5000,)", "'|u1'", bytes(5000))))
    inner_directory = inner.index(b"PK\x01\x02")
    member, entry = inner[:inner_directory], inner[inner_directory : inner.index(b"PK\x05\x06")]
    outer = npz(("a.npy", npy(f"({len(member)},)", "'|u1'", member)))
    end = outer.index(b"PK\x05\x06")
    directory = (
        outer[outer.rindex(b"PK\x01\x02") : end] + entry[:42] + struct.pack("<I", outer.index(member)) + entry[46:]
    )
    start = outer.rindex(b"PK\x01\x02")
    tail = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2, 2, len(directory), start, 0)
    return outer[:start] + directory + tail


HOSTILE_NPZ: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"this is no archive" * 10,
    "pickle": lambda: pickle.dumps({"a": Bomb()}),
    "an npy file": npy,
    "objects": object_npz,
    "pickle inside": lambda: npz(("a.npy", pickle.dumps(Bomb()))),
    "object descr": lambda: npz(("a.npy", npy("(1,)", "'|O'", pickle.dumps([Bomb()])))),
    "code as header": lambda: npz(("a.npy", npy(shape="__import__('os').abort()"))),
    "code as descr": lambda: npz(("a.npy", npy(descr="exec('x')"))),
    "structured": lambda: npz(("a.npy", npy(descr="[('x', '<f8')]"))),
    "text dtype": lambda: npz(("a.npy", npy(descr="'<U6'"))),
    "void": lambda: npz(("a.npy", npy(descr="'|V8'"))),
    "no dtype": lambda: npz(("a.npy", npy(descr="'<f7'"))),
    "no bytes in the dtype": lambda: npz(("a.npy", npy(descr="'<f0'"))),
    "huge": lambda: npz(("a.npy", npy("(1000000000000,)"))),
    "overflow": lambda: npz(("a.npy", npy("(4294967296, 4294967296)", data=b""))),
    "overflow to what is there": lambda: npz(("a.npy", npy("(9223372036854775811, 2)", "'|u1'", bytes(6)))),
    "negative": lambda: npz(("a.npy", npy("(-3,)"))),
    "two negatives": lambda: npz(("a.npy", npy("(-1, -3)"))),
    "nan": lambda: npz(("a.npy", npy("(nan,)"))),
    "float shape": lambda: npz(("a.npy", npy("(3.0,)"))),
    "many digits": lambda: npz(("a.npy", npy(f"({'9' * 5000},)"))),
    "many axes": lambda: npz(("a.npy", npy(f"({'1,' * 70})", data=bytes(8)))),
    "empty and huge": lambda: npz(("a.npy", npy("(0, 9223372036854775807, 9223372036854775807)", data=b""))),
    "deep": lambda: npz(("a.npy", npy("(" * 3000))),
    "too little": lambda: npz(("a.npy", npy(data=bytes(23)))),
    "too much": lambda: npz(("a.npy", npy(data=bytes(25)))),
    "long header": lambda: npz(("a.npy", npy(shape="(3,)" + " " * 20_000, version=2))),
    "endless header": lambda: npz(("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff")),
    "version 9": lambda: npz(("a.npy", npy(version=9))),
    "not npy": lambda: npz(("a.txt", b"hello")),
    "folder": lambda: npz(("a/", b"")),
    "empty member": lambda: npz(("a.npy", b"")),
    "bomb": lambda: npz(("a.npy", npy("(100000000,)", "'|u1'", bytes(10**8))), compression=zipfile.ZIP_DEFLATED),
    "bomb of many": lambda: npz(
        *[(f"{i}.npy", npy("(10000000,)", "'|u1'", bytes(10**7))) for i in range(8)], compression=zipfile.ZIP_DEFLATED
    ),
    "overlapping": overlapping,
    "a character": lambda: npz(("a.npy", npy(descr="'|c'", data=bytes(3)))),
    "one descr, another kind": lambda: npz(("a.npy", npy(descr="'c'", data=bytes(3)))),
    "bzip2": lambda: npz(("a.npy", npy()), compression=zipfile.ZIP_BZIP2),
    "lzma": lambda: npz(("a.npy", npy()), compression=zipfile.ZIP_LZMA),
    "encrypted": lambda: patched(npz(("a.npy", npy())), flags=1),
    "unknown method": lambda: patched(npz(("a.npy", npy())), method=77),
    "size too large": lambda: patched(npz(("a.npy", npy())), size=2**32 - 2),
    "both sizes too large": lambda: patched(npz(("a.npy", npy())), size=2**32 - 2, packed=2**32 - 2),
    "offset beyond": lambda: patched(npz(("a.npy", npy())), offset=2**31),
    "a lie about the size": lambda: patched(
        npz(("a.npy", npy("(1000000,)", "'|u1'", bytes(10**6))), compression=zipfile.ZIP_DEFLATED), size=2000
    ),
    "our notes as numbers": lambda: npz(("__tinygrad_kr__.npy", npy())),
    "our notes as a list": lambda: npz(("__tinygrad_kr__.npy", npy("(2,)", "'|u1'", b"[]"))),
    "deep notes": lambda: npz(("__tinygrad_kr__.npy", npy("(90000,)", "'|u1'", b"[" * 90000))),
    "notes of numbers": lambda: npz(("__tinygrad_kr__.npy", npy("(7,)", "'|u1'", b'{"a":1}'))),
}


def two_of_one_name() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return npz(("a.npy", npy()), ("a.npy", npy()))


HOSTILE_NPZ["duplicate"] = two_of_one_name


def tensors(header: Any, data: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: Any = "F64", shape: Any = (3,), offsets: Any = (0, 24)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def noted(note: Any) -> bytes:
    return tensors({"__metadata__": {"tinygrad_kr": note if isinstance(note, str) else json.dumps(note)}}, b"")


HOSTILE_SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"this is no such file" * 10,
    "pickle": lambda: pickle.dumps({"a": Bomb()}),
    "header beyond the file": lambda: tensors({"a": tensor()}, length=10**9),
    "header beyond everything": lambda: tensors({"a": tensor()}, length=2**64 - 1),
    "no header": lambda: tensors(b""),
    "not json": lambda: tensors(b"{'a': 1}"),
    "not utf-8": lambda: tensors(b"\xff\xfe{}"),
    "a list": lambda: tensors([1, 2]),
    "deep": lambda: tensors(b"[" * 100_000),
    "deep in a name": lambda: tensors(b'{"a":' * 50_000),
    "nan": lambda: tensors(b'{"a":{"dtype":"F64","shape":[NaN],"data_offsets":[0,24]}}'),
    "infinite": lambda: tensors(b'{"a":{"dtype":"F64","shape":[3],"data_offsets":[0,Infinity]}}'),
    "negative": lambda: tensors({"a": tensor(shape=(-3,))}),
    "two negatives": lambda: tensors({"a": tensor(shape=(-1, -3))}),
    "float shape": lambda: tensors({"a": tensor(shape=(3.0,))}),
    "huge": lambda: tensors({"a": tensor(shape=(10**12,), offsets=(0, 8 * 10**12))}),
    "overflow": lambda: tensors({"a": tensor(shape=(2**32, 2**32))}),
    "overflow to what is there": lambda: tensors({"a": tensor(shape=(2**61 + 3,))}),
    "beyond 64 bits": lambda: tensors({"a": tensor(shape=(2**70,))}),
    "empty and huge": lambda: tensors({"a": tensor(shape=(0, 2**63 - 1, 2**63 - 1), offsets=(0, 0))}, b""),
    "empty and beyond 63 bits": lambda: tensors({"a": tensor(shape=(0, 2**63), offsets=(0, 0))}, b""),
    "many axes": lambda: tensors({"a": tensor(shape=(1,) * 70, offsets=(0, 8))}, bytes(8)),
    "wrong size": lambda: tensors({"a": tensor(shape=(2,))}),
    "backwards": lambda: tensors({"a": tensor(offsets=(24, 0))}),
    "overlapping": lambda: tensors({"a": tensor(), "b": tensor()}),
    "a hole": lambda: tensors({"a": tensor(offsets=(24, 48))}, bytes(48)),
    "beyond the end": lambda: tensors({"a": tensor(offsets=(0, 24))}, bytes(16)),
    "more at the end": lambda: tensors({"a": tensor()}, bytes(32)),
    "no such dtype": lambda: tensors({"a": tensor(dtype="O")}),
    "a dtype that NumPy has not": lambda: tensors({"a": tensor("BF16", (12,))}),
    "four bits": lambda: tensors({"a": tensor("F4", (48,))}),
    "dtype of numbers": lambda: tensors({"a": tensor(dtype=7)}),
    "nothing said": lambda: tensors({"a": {}}),
    "duplicate": lambda: tensors(b'{"a":%b,"a":%b}' % ((json.dumps(tensor()).encode(),) * 2)),
    "duplicate notes": lambda: tensors(b'{"__metadata__":{"a":"1","a":"2"},"b":%b}' % json.dumps(tensor()).encode()),
    "notes of numbers": lambda: tensors({"__metadata__": {"a": 1}, "b": tensor()}),
    "our note, no json": lambda: noted("x"),
    "our note, a list": lambda: noted([1]),
    "our note, a part": lambda: noted({"format": 1}),
    "our note, no metadata": lambda: noted({"format": 1, "crc32": zlib.crc32(b"[1]"), "metadata": [1]}),
    "our note, no checksum": lambda: noted({"format": 1, "metadata": {}}),
    "our note, many digits": lambda: noted('{"format":' + "9" * 5000 + "}"),
    "our note, deep": lambda: noted("[" * 100_000),
}
HOSTILE = [
    *(pytest.param("npz", make, id=f"npz: {name}") for name, make in HOSTILE_NPZ.items()),
    *(pytest.param("safetensors", make, id=f"safetensors: {name}") for name, make in HOSTILE_SAFETENSORS.items()),
]


@pytest.fixture
def measured_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("ending", "make"), HOSTILE)
def test_a_hostile_file_is_refused(
    tmp_path: Path, measured_memory: None, ending: str, make: Callable[[], bytes]
) -> None:
    path = tmp_path / f"net.{ending}"
    path.write_bytes(make())
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(DataError, match=r"net\.\w+ is not a \w+ file, or is damaged: "):
        load(path)
    assert tracemalloc.get_traced_memory()[1] - before < 40 * path.stat().st_size + 2**20
    import builtins

    assert not hasattr(builtins, "exploded")


def test_names_in_an_archive_are_only_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.npz").write_bytes(npz(("../b.npy", npy())))
    assert list(load(tmp_path / "in" / "a.npz")[0]) == ["../b"]
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


def test_booleans_are_0_or_1(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(("a.npy", npy("(3,)", "'|b1'", b"\x00\x02\xff"))))
    (tmp_path / "a.safetensors").write_bytes(tensors({"a": tensor("BOOL", (3,), (0, 3))}, b"\x00\x02\xff"))
    for ending in FORMATS:
        assert load(tmp_path / f"a.{ending}")[0]["a"].view(np.uint8).tolist() == [0, 1, 1]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file in up to three of the ways that accidents and attackers have."""
    for _ in range(rng.integers(1, 4)):
        size = max(1, len(content))
        at = int(rng.integers(size))
        extreme = int(rng.choice([0, 1, 255, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1], p=[1 / 9] * 9))
        match rng.integers(7):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + rng.bytes(int(rng.integers(1, 5))) + content[at + 4 :]
            case 2:
                width = int(rng.choice([1, 2, 4, 8]))
                content = content[:at] + (extreme % 256**width).to_bytes(width, "little") + content[at + width :]
            case 3:  # a field of an archive's structure
                marks = [i for i in range(len(content) - 4) if content[i : i + 2] == b"PK"] or [0]
                at = int(rng.choice(marks)) + int(rng.integers(4, 46))
                width = int(rng.choice([2, 4]))
                content = content[:at] + (extreme % 256**width).to_bytes(width, "little") + content[at + width :]
            case 4:  # a number in a header
                digits = [i for i, byte in enumerate(content) if chr(byte).isascii() and chr(byte).isdigit()] or [0]
                at = int(rng.choice(digits))
                new = str(rng.choice(["0", "-1", str(2**31), str(2**63 - 1), str(2**64), "NaN", "1e9", "[", "'|O'"]))
                content = content[:at] + new.encode() + content[at + len(new) * int(rng.integers(2)) :]
            case 5:
                other = int(rng.integers(size))
                content = content[:at] + content[other : other + int(rng.integers(200))] + content[at:]
            case _:
                content = content[:at] + content[at + int(rng.integers(1, 200)) :]
    return content


def originals() -> Iterator[tuple[str, bytes]]:
    arrays = {"W": np.arange(6.0).reshape(2, 3), "b": np.zeros((0, 3), np.float32), "flags": np.ones(5, np.bool_)}
    for make in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        make(buffer, **arrays)
        yield "npz", buffer.getvalue()
    yield "npz", formats.to_npz(arrays, {"made": "here"})
    yield "safetensors", safetensors.numpy.save(arrays, metadata={"made": "elsewhere"})
    yield "safetensors", formats.to_safetensors(arrays, {"made": "here"})


def test_damaged_files_are_refused_or_read(tmp_path: Path, measured_memory: None) -> None:
    """A seeded fuzz: 400 files, or 5,000 with HYPOTHESIS_PROFILE=long."""
    rng = np.random.default_rng(0)
    refused, files = 0, list(originals())
    for number in range(5000 if LONG else 400):
        ending, content = files[number % len(files)]
        path = tmp_path / f"a.{ending}"
        path.write_bytes(damaged(content, rng))
        tracemalloc.reset_peak()
        try:
            arrays, metadata = load(path)
        except DataError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert isinstance(metadata, dict)
            assert sum(array.nbytes for array in arrays.values()) < LIMIT
        assert tracemalloc.get_traced_memory()[1] < LIMIT, number
    assert refused > 0.5 * number


@settings(max_examples=4000 if LONG else 300)
@given(
    shape=st.lists(st.integers(-2, 4) | st.sampled_from([2**31, 2**32, 2**61, 2**63 - 1, 2**64]), max_size=5),
    dtype=st.sampled_from(["F64", "BOOL", "U8", "I16", "F4", "F8_E4M3", "C64"]),
    ends=st.tuples(st.integers(-1, 30), st.integers(-1, 30)),
    data=st.binary(max_size=30),
)
def test_any_header_of_safetensors(tmp_path_factory: Any, shape: Any, dtype: str, ends: Any, data: bytes) -> None:
    path = tmp_path_factory.mktemp("header") / "a.safetensors"
    path.write_bytes(tensors({"a": tensor(dtype, shape, ends)}, data))
    try:
        arrays, _ = load(path)
    except DataError:
        return
    assert arrays["a"].shape == tuple(shape)
    assert arrays["a"].nbytes == len(data)


@settings(max_examples=4000 if LONG else 300)
@given(
    shape=st.lists(st.integers(-2, 4) | st.sampled_from([2**31, 2**32, 2**61, 2**63 - 1, 2**64]), max_size=5),
    descr=st.sampled_from(["<f8", ">i4", "|u1", "|b1", "<f16", "|O", "<U1", "<c8", "<f3", "=f2", "d8", "<b8", "<i1"]),
    order=st.sampled_from(["False", "True", "None"]),
    data=st.binary(max_size=30),
)
def test_any_header_of_npz(tmp_path_factory: Any, shape: Any, descr: str, order: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("header") / "a.npz"
    path.write_bytes(npz(("a.npy", npy(str(tuple(shape)), repr(descr), data, order))))
    try:
        arrays, _ = load(path)
    except DataError:
        return
    assert arrays["a"].shape == tuple(shape)
    assert arrays["a"].nbytes == len(data)


@given(st.binary(max_size=200), st.sampled_from(FORMATS))
def test_any_bytes(tmp_path_factory: Any, content: bytes, ending: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"a.{ending}"
    path.write_bytes(content)
    try:
        load(path)
    except DataError as error:
        assert str(path) in str(error)


def test_without_the_library_npz_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_kr\[train\]'"):
        save(tmp_path / "a.safetensors", {"a": np.ones(2)})
    with no_grad():
        save(tmp_path / "a.npz", {"a": np.ones(2)})
    assert same(load(tmp_path / "a.npz")[0], {"a": np.ones(2)})
