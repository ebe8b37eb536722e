"""The Trainer: the same numbers after any interruption, and what it says when something is wrong."""

from __future__ import annotations

import math
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.checkers.kill_saves import kill
from tinygrad_kr import Tensor
from tinygrad_kr import functional as F
from tinygrad_kr.datasets import batches
from tinygrad_kr.errors import DataError, GraphError, NonFiniteError, ShapeError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.nn import BatchNorm, Dropout, Linear, Module
from tinygrad_kr.optim import SGD, AdaGrad, Adam, AdamW, RMSprop
from tinygrad_kr.optim.schedules import cosine, warm_up
from tinygrad_kr.saving import load, save
from tinygrad_kr.training import Row, Trainer
from tinygrad_kr.training.divergence import Watch


class Network(Module):
    """Everything that a checkpoint must hold: parameters, running statistics, a generator of its own."""

    def __init__(self, seed: int = 0, hidden: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.first, self.norm = Linear(4, hidden, rng=rng), BatchNorm(hidden)
        self.drop, self.last = (
            Dropout(0.3, rng=np.random.Generator(np.random.MT19937(seed))),
            Linear(hidden, 3, rng=rng),
        )

    def forward(self, x: Any) -> Any:
        return self.last(self.drop(F.relu(self.norm(self.first(x)))))


def examples(count: int = 14, seed: int = 1, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, features)), rng.integers(3, size=count)


def right(scores: np.ndarray, t: np.ndarray) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == t))


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda model: SGD(model, lr=0.1),
    "momentum": lambda model: SGD(model, lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda model: AdaGrad(model, lr=0.1),
    "RMSprop": lambda model: RMSprop(model, lr=0.01),
    "Adam": lambda model: Adam(model, lr=0.01),
    "AdamW": lambda model: AdamW(model, lr=0.01),
}
EPOCHS, BATCH, STEPS = 4, 4, 4  # 14 examples: the last mini-batch of an epoch has 2


def trainer(optimizer: str = "momentum", seed: int = 0, **options: Any) -> Trainer:
    model = options.pop("model", None) or Network(seed)
    options = {"metrics": {"accuracy": right}, "schedule": cosine(20), "clip": 1.0} | options
    loss = options.pop("loss", F.softmax_cross_entropy)
    return Trainer(model, loss, OPTIMIZERS[optimizer](model), rng=np.random.default_rng(seed), **options)


def fit(made: Trainer, epochs: int = EPOCHS, **options: Any) -> list[Row]:
    arguments = {"train_set": examples(), "validation": examples(9, seed=2), "batch_size": BATCH} | options
    return made.fit(epochs=epochs, **arguments)


def everything(made: Trainer) -> dict[str, Any]:
    """All that a run is: two that have it equal go on to the same numbers."""
    generators = [made.rng.bit_generator.state, made.model.drop.rng.bit_generator.state]
    return {
        "model": {name: array.tobytes() for name, array in made.model.state().items()},
        "optimizer": {name: array.tobytes() for name, array in made.optimizer.state().items()},
        "lr": made.optimizer.lr,
        "generators": [repr(state) for state in generators],
        "history": list(made.history),
        "steps": (made.epoch, made.steps),
        "best": made.best,
        "best values": {name: array.tobytes() for name, array in made.best_values.items()},
    }


# The loop


def test_it_does_the_four_steps_of_the_study_notes() -> None:
    one, other = (TwoLayerNet(4, 5, 3, rng=np.random.default_rng(0)) for _ in range(2))
    data = examples()
    losses, rng = [], np.random.default_rng(1)
    for _ in range(5):
        of_epoch = []
        for x, t in batches(*data, 4, rng):
            loss = one.loss(x, t)
            of_epoch.append(loss.item())
            for name, gradient in one.gradient(x, t).items():
                one.params[name].assign(one.params[name].data - 0.3 * gradient)
        losses.append(np.mean(of_epoch))
    made = Trainer(other, F.softmax_cross_entropy, SGD(other, lr=0.3), rng=np.random.default_rng(1))
    assert [row.loss for row in made.fit(data, epochs=5, batch_size=4)] == losses
    for name, parameter in one.params.items():
        np.testing.assert_array_equal(parameter.data, other.params[name].data)


def test_a_history() -> None:
    rows: list[Row] = []
    made = trainer(callbacks=[rows.append], schedule=lambda step: 1 / (1 + step))
    history = fit(made)
    assert history == rows == made.history
    assert [row.epoch for row in history] == [1, 2, 3, 4]
    assert [row.steps for row in history] == [4, 8, 12, 16]
    assert [row.lr for row in history] == [0.1 * (1 / (1 + step)) for step in (3, 7, 11, 15)]
    assert all(row.seconds > 0 and row.validation_loss and 0 <= row.metrics["accuracy"] <= 1 for row in history)
    assert len({row.loss for row in history}) == 4


def test_validation_is_exact_and_in_evaluation() -> None:
    recorded: list[bool] = []

    def loss(scores: Any, t: Any) -> Any:
        recorded.append(isinstance(scores, Tensor) and scores.requires_grad)
        return F.softmax_cross_entropy(scores, t)

    made = trainer(metrics={"accuracy": right, "mean": lambda scores, t: scores.mean()}, loss=loss)
    x, t = examples(9, seed=2)
    history = fit(made)
    assert made.model.training
    made.model.eval()
    scores = made.model(x)
    assert history[-1].validation_loss == pytest.approx(F.softmax_cross_entropy(scores, t).item(), rel=1e-14)
    assert history[-1].metrics["accuracy"] == pytest.approx(right(scores.data, t), rel=1e-14)
    assert history[-1].metrics["mean"] == pytest.approx(scores.data.mean(), rel=1e-13)
    assert recorded == ([True] * STEPS + [False] * 3) * EPOCHS


def test_a_parameter_that_is_never_reached_is_reported_once() -> None:
    class Forgetful(Network):
        def forward(self, x: Any) -> Any:
            return self.last(F.relu(self.first(x)))

    made = trainer(model=Forgetful())
    with pytest.warns(UserWarning, match=r"no gradient reached norm\.gamma, norm\.beta in this epoch") as caught:
        fit(made)
    assert len(caught) == 1 and caught[0].filename == __file__.replace(".pyc", ".py")
    fit(made, EPOCHS + 1)


def test_a_parameter_that_is_reached_now_and_then_is_not_reported() -> None:
    class Sometimes(Network):
        def forward(self, x: Any) -> Any:
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x) if self.calls % 3 == 0 else self.last(F.relu(self.first(x)))

        calls: int = 0

    assert len(fit(trainer(model=Sometimes()))) == EPOCHS


def test_callbacks_meet_a_model_in_evaluation_and_fit_leaves_it_as_it_was() -> None:
    modes: list[bool] = []
    made = trainer(callbacks=[lambda row: modes.append(made.model.training)])
    made.model.eval()
    fit(made)
    assert modes == [False] * EPOCHS
    assert not made.model.training


def test_every_example_is_used_once_in_an_epoch() -> None:
    seen: list[float] = []
    w = Tensor([0.0], requires_grad=True)

    def model(x: np.ndarray) -> Any:
        seen.extend(x[:, 0])
        return x * w

    x = np.arange(10.0)[:, np.newaxis]
    made = Trainer(model, F.mean_squared_error, SGD({"w": w}, lr=1e-3), rng=np.random.default_rng(0))
    made.fit((x, x), epochs=2, batch_size=3)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_clipping_bounds_the_step() -> None:
    made = trainer("SGD", clip=1e-3, schedule=None)
    before = {name: p.data.copy() for name, p in made.optimizer.params.items()}
    fit(made, epochs=1, batch_size=14)
    moved = math.sqrt(sum(float(np.sum((p.data - before[n]) ** 2)) for n, p in made.optimizer.params.items()))
    assert moved == pytest.approx(0.1 * 1e-3, rel=1e-2)


def test_a_callback_can_end_the_training() -> None:
    made = trainer(callbacks=[lambda row: row.epoch == 2])
    assert len(fit(made)) == 2
    assert len(fit(made, epochs=4)) == 4


def test_epochs_count_from_the_start() -> None:
    parts, whole = trainer(), trainer()
    fit(parts, epochs=2)
    fit(parts, epochs=2)  # nothing to do
    fit(parts, epochs=4)
    fit(whole, epochs=4)
    assert everything(parts) == everything(whole)


# Early stopping


def overfitting(**options: Any) -> Trainer:
    """A model whose validation loss falls, then rises, by itself: w grows by 1 in each epoch."""
    w = Tensor([0.0], requires_grad=True, name="w")
    made = Trainer(
        lambda x: w * np.ones((len(x), 1)),
        lambda scores, t: np.mean((scores - t) ** 2) if made.losses else -np.mean(scores),
        SGD({"w": w}, lr=1.0),
        rng=np.random.default_rng(0),
        **options,
    )
    return made


@pytest.mark.parametrize(("patience", "epochs"), [(1, 4), (2, 5), (5, 8), (50, 20), (None, 20)])
def test_it_stops_when_the_validation_loss_no_longer_falls(patience: int | None, epochs: int) -> None:
    data = np.zeros((1, 1)), np.full((1, 1), 3.0)
    made = overfitting(patience=patience)
    history = made.fit(data, epochs=20, batch_size=1, validation=data)
    w = made.optimizer.params["w"]
    assert len(history) == epochs
    assert w.data == epochs
    assert made.best == history[2]
    assert made.load_best().epoch == 3
    assert w.data == 3


def test_patience_counts_on_after_a_resume(tmp_path: Path) -> None:
    data = np.zeros((1, 1)), np.full((1, 1), 3.0)
    made = overfitting(patience=3)
    made.fit(data, epochs=5, batch_size=1, validation=data)
    made.save(tmp_path / "run.npz")
    again = overfitting(patience=3)
    again.resume(tmp_path / "run.npz")
    assert len(again.fit(data, epochs=20, batch_size=1, validation=data)) == 6
    assert again.load_best().epoch == 3
    assert again.optimizer.params["w"].data == 3


def test_a_validation_loss_that_is_not_finite_is_not_the_best(tmp_path: Path) -> None:
    data = np.zeros((1, 1)), np.full((1, 1), 3.0)
    made = overfitting(patience=2)
    original = made.loss
    made.loss = lambda scores, t: original(scores, t) * (np.nan if made.epoch == 2 and made.losses else 1.0)
    history = made.fit(data, epochs=20, batch_size=1, validation=data)
    assert math.isnan(history[2].validation_loss or 0)
    assert made.best == history[1]
    made.save(tmp_path / "run.npz")
    again = overfitting(patience=2)
    again.resume(tmp_path / "run.npz")
    assert math.isnan(again.history[2].validation_loss or 0)
    assert again.best == made.best


# The same numbers after a resume


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, optimizer: str) -> None:
    whole = trainer(optimizer)
    fit(whole)
    for stop, ending in [(1, "npz"), (2, "safetensors"), (EPOCHS, "npz")]:
        path = tmp_path / f"{stop}.{ending}"
        first = trainer(optimizer, checkpoint=path)
        fit(first, epochs=stop)
        second = trainer(optimizer, seed=5, checkpoint=path)  # whatever it begins with
        second.resume()
        assert everything(second) == everything(first)
        fit(second)
        assert everything(second) == everything(whole)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_random_generator_of_numpy_goes_on(tmp_path: Path, kind: str) -> None:
    def make() -> Trainer:
        net = TwoLayerNet(4, 5, 3, rng=np.random.default_rng(0))
        rng = np.random.Generator(getattr(np.random, kind)(3))
        rng.integers(3, dtype=np.uint32)  # leaves half a draw in the buffer
        return Trainer(net, F.softmax_cross_entropy, SGD(net, lr=0.1), rng=rng)

    whole, first, second = make(), make(), make()
    data = examples()
    whole.fit(data, epochs=4, batch_size=4)
    first.fit(data, epochs=2, batch_size=4)
    first.save(tmp_path / "run.npz")
    second.resume(tmp_path / "run.npz")
    second.fit(data, epochs=4, batch_size=4)
    assert second.history == whole.history
    assert second.rng.random() == whole.rng.random()


def test_one_generator_for_everything_goes_on_too(tmp_path: Path) -> None:
    def make() -> Trainer:
        made = trainer()
        made.model.drop.rng = made.rng
        return made

    whole, first, second = make(), make(), make()
    fit(whole)
    fit(first, epochs=2)
    first.save(tmp_path / "run.npz")
    assert len(load(tmp_path / "run.npz")[1]["generators"]) == 1
    second.resume(tmp_path / "run.npz")
    fit(second)
    assert everything(second) == everything(whole)


def test_parameters_outside_the_model_go_on_too(tmp_path: Path) -> None:
    def make() -> Trainer:
        net, scale = TwoLayerNet(4, 5, 3, rng=np.random.default_rng(0)), Tensor([1.0], requires_grad=True)

        def loss(scores: Any, t: Any) -> Any:
            return F.softmax_cross_entropy(scores * scale, t)

        optimizer = Adam(net.params | {"scale": scale}, lr=0.1)
        return Trainer(net.scores, loss, optimizer, rng=np.random.default_rng(0))

    whole, first, second = make(), make(), make()
    whole.fit(examples(), epochs=4, batch_size=4)
    first.fit(examples(), epochs=2, batch_size=4)
    first.save(tmp_path / "run.npz")
    arrays, _ = load(tmp_path / "run.npz")
    assert {"model.W1", "other.scale", "optimizer.first_moment.scale"} < set(arrays)
    second.resume(tmp_path / "run.npz")
    second.fit(examples(), epochs=4, batch_size=4)
    for name, parameter in whole.optimizer.params.items():
        np.testing.assert_array_equal(parameter.data, second.optimizer.params[name].data)


def test_a_learning_rate_that_a_callback_changed_goes_on(tmp_path: Path) -> None:
    def make(lr: float = 0.1) -> Trainer:
        net = TwoLayerNet(4, 5, 3, rng=np.random.default_rng(0))

        def slower(row: Row) -> None:
            made.optimizer.lr *= 0.5

        options: dict[str, Any] = {"callbacks": [slower], "checkpoint": tmp_path / "run.npz"}
        made = Trainer(net, F.softmax_cross_entropy, SGD(net, lr), rng=np.random.default_rng(0), **options)
        return made

    first, second, other = make(), make(), make(lr=0.2)
    first.fit(examples(), epochs=2, batch_size=4)
    second.resume()
    assert second.optimizer.lr == 0.025
    other.resume()
    assert other.optimizer.lr == 0.2  # who makes it with another rate means it


def test_when_checkpoints_are_written(tmp_path: Path) -> None:
    path, written = tmp_path / "run.npz", []
    made = trainer(checkpoint=path, every=3, callbacks=[lambda row: written.append(path.exists())])
    fit(made, epochs=5)
    assert written == [False, False, False, True, True]
    again = trainer(checkpoint=path)
    again.resume()
    assert again.epoch == 5


def test_a_checkpoint_holds_no_code_and_gives_its_model(tmp_path: Path) -> None:
    made = trainer(checkpoint=tmp_path / "run.npz")
    fit(made, epochs=2)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        assert {"model.first.W", "model.norm.running_mean", "optimizer.momentum.first.W"} < set(arrays)
    net = Network(9)
    load(tmp_path / "run.npz", net)
    for name, array in made.model.state().items():
        np.testing.assert_array_equal(net.state()[name], array)


def test_a_run_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    fit(trainer(checkpoint=path), epochs=2)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"run\.npz is there already.*\n  call trainer\.resume\(\)"):
        fit(trainer(checkpoint=path))
    assert path.read_bytes() == before


# Training that diverges without a NaN


@pytest.mark.parametrize("lr", [300.0, 3e4])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_training_that_diverges_says_so_once(optimizer: Any, lr: float) -> None:
    model = Network()
    made = Trainer(model, F.softmax_cross_entropy, optimizer(model, lr=lr), rng=np.random.default_rng(0))
    with pytest.warns(UserWarning, match=rf"Trainer: the training diverged with learning rate {lr:g}: ") as told:
        fit(made)
    assert told[0].filename == __file__
    said = r"was (\S+) at the start, (\S+) in the worst epoch, and is (\S+) in the last"
    numbers = re.search(said, str(told[0].message))
    assert numbers is not None
    losses = [row.loss for row in made.history]
    np.testing.assert_allclose([float(number) for number in numbers.groups()[1:]], [max(losses), losses[-1]], rtol=1e-3)
    fit(made, epochs=EPOCHS + 2)


def test_looking_for_divergence_changes_nothing() -> None:
    """The initial loss is computed again, with dropout and batch normalisation as in training."""
    states = []
    for lr in (300.0, 300.0):
        made = trainer(model=(model := Network()), schedule=None, clip=None)
        made.optimizer.lr = made.initial_lr = lr
        if states:
            made._watch = Watch(model.params.values())
            made._watch._told = True
            fit(made)
        else:
            with pytest.warns(UserWarning, match="the training diverged"):
                fit(made)
        states.append(everything(made))
        assert made.model.training
    assert states[0] == states[1]


@pytest.mark.parametrize("batch_size", [2, 4, 14])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_ordinary_training_is_not_accused(optimizer: str, seed: int, batch_size: int) -> None:
    """From the start, and once more from where it got; a warning would be an error."""
    made = trainer(optimizer, seed, metrics={})
    fit(made, epochs=6, batch_size=batch_size, validation=None)
    again = trainer(optimizer, seed, metrics={}, model=made.model)
    fit(again, epochs=3, batch_size=batch_size, validation=None)


def test_a_first_mini_batch_that_is_easy_by_chance_accuses_nobody() -> None:
    """The loss of the first example is 1e-6, and that of the others about 1."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    model = Linear(3, 1, rng=rng)
    first = np.random.default_rng(1).permutation(40)[0]
    t[first] = model(x[first]).data + 1e-3
    made = Trainer(model, F.mean_squared_error, SGD(model, lr=0.01), rng=np.random.default_rng(1))
    assert all(row.loss > 0.1 for row in made.fit((x, t), epochs=5, batch_size=1))


# Ctrl-C


interrupted = pytest.mark.usefixtures("ctrl_c")


def interrupting(at: int, loss: Callable[..., Any] = F.softmax_cross_entropy, times: int = 1) -> Callable[..., Any]:
    """A loss function during whose n-th call, in training or validation, somebody presses Ctrl-C."""
    calls = 0

    def with_ctrl_c(scores: Any, t: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return loss(scores, t)

    return with_ctrl_c


@interrupted
@pytest.mark.parametrize("at", range(1, 15))
def test_ctrl_c_at_any_moment_loses_nothing(tmp_path: Path, at: int) -> None:
    """In each epoch there are 4 steps and 3 mini-batches of validation: this is each call of two epochs."""
    path = tmp_path / f"run.{'npz' if at % 2 else 'safetensors'}"
    whole = trainer()
    fit(whole)
    first = trainer(checkpoint=path, loss=interrupting(at))
    with pytest.raises(KeyboardInterrupt, match=rf"saved to .*{path.name} after \d+ steps"):
        fit(first)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert first.model.training
    second = trainer(seed=5, checkpoint=path)
    second.resume()
    assert everything(second) == everything(first)
    assert second.steps == (at + 6) // 7 * 4 - max(0, 3 - (at - 1) % 7)
    fit(second)
    assert everything(second) == everything(whole)
    fit(first)  # or in the same process
    assert everything(first) == everything(whole)


@interrupted
def test_ctrl_c_without_a_checkpoint_still_ends_between_two_steps() -> None:
    whole, first = trainer(), trainer(loss=interrupting(3))
    with pytest.raises(KeyboardInterrupt):
        fit(first)
    assert first.steps == 3
    fit(first)
    fit(whole)
    assert everything(first) == everything(whole)


@interrupted
def test_a_second_ctrl_c_is_obeyed_at_once(tmp_path: Path) -> None:
    made = trainer(checkpoint=tmp_path / "run.npz", loss=interrupting(3, times=2))
    with pytest.raises(KeyboardInterrupt):
        fit(made)
    assert made.steps == 2
    assert not (tmp_path / "run.npz").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@interrupted
def test_a_handler_of_the_program_stays(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        made = trainer(loss=interrupting(3))
        assert len(fit(made)) == EPOCHS
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_runs_in_another_thread() -> None:
    made, whole = trainer(), trainer()
    thread = threading.Thread(target=fit, args=(made,))
    thread.start()
    thread.join()
    fit(whole)
    assert everything(made) == everything(whole)


@interrupted
def test_an_epoch_that_was_begun_goes_on_with_the_same_data_only(tmp_path: Path) -> None:
    made = trainer(checkpoint=tmp_path / "run.npz", loss=interrupting(2))
    with pytest.raises(KeyboardInterrupt):
        fit(made)
    again = trainer(checkpoint=tmp_path / "run.npz")
    again.resume()
    message = r"epoch 1 was begun with 14 examples in batches of 4, and cannot go on with {} in batches of {}"
    with pytest.raises(ValueError, match=message.format(14, 5)):
        fit(again, batch_size=5)
    with pytest.raises(ValueError, match=message.format(13, 4)):
        fit(again, train_set=examples(13))


def test_killed_processes(tmp_path: Path) -> None:
    """Ten processes killed at random moments; ``python -m benchmarks.checkers.kill_saves`` kills hundreds."""
    tally = kill(10, tmp_path, seed=3)
    assert tally["kills"] == 10
    assert tally["whole files"] > 0


# What is not finite


def failing(made: Trainer, **arguments: Any) -> str:
    with pytest.raises(NonFiniteError) as caught:
        fit(made, **arguments)
    return str(caught.value)


class Logarithm(Module):
    """Its layer takes the logarithm of what becomes negative after some steps."""

    def __init__(self) -> None:
        self.body, self.head = Linear(4, 3, rng=np.random.default_rng(0)), Log()

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


class Log(Module):
    def __init__(self) -> None:
        self.a = Tensor([1.0], requires_grad=True)

    def forward(self, x: Any) -> Any:
        return x + np.log(self.a)


def test_the_operation_that_made_it_is_named() -> None:
    made = trainer("SGD", model=Logarithm(), schedule=None, clip=None)
    made.loss = lambda scores, t: F.softmax_cross_entropy(scores, t) + 3 * np.sum(made.model.head.a)
    message = failing(made)
    first, operation, remedy, layer, advice = message.split("\n")
    assert first == "Trainer: the loss is not finite in epoch 2, step 1 (learning rate 0.1)"
    assert operation.startswith("  log made nan at index (0,) of finite operands (1,), called at ")
    assert remedy.startswith("  log of 0 or of a negative number: ")
    assert layer == "  in layer 'head' of Logarithm: Log()"
    assert advice == "  try a smaller lr than 0.1, clip=1.0, or schedule=warm_up(...)"


def test_a_failed_step_changes_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    bad, calls = {"factor": 1.0}, []

    def loss(scores: Any, t: Any) -> Any:
        calls.append(len(t))
        factor = np.inf if len(calls) == 3 or (len(calls) == 4 and bad["factor"] == 1.0) else 1.0
        return F.softmax_cross_entropy(scores, t) * factor

    whole, made = trainer(), trainer(loss=loss)
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 3 "):
        fit(made)
    assert made.steps == 2
    fit(whole)
    fit(made)
    assert everything(made) == everything(whole)


class Spoiling(Network):
    """A model whose pass leaves an infinity in a buffer; it also has a mask in which infinities are meant."""

    def __init__(self, spoils: bool = True, factor: float = 1.0) -> None:
        super().__init__()
        self.mask, self.statistic = np.array([0.0, 0.0, -np.inf]), np.zeros(2)
        self.spoils, self.factor = spoils, factor

    def forward(self, x: Any) -> Any:
        if self.training and self.spoils:
            self.statistic[1] = np.inf
        return super().forward(x) * self.factor


def test_a_buffer_that_the_failed_step_broke_is_not_blamed() -> None:
    made = trainer(model=Spoiling(factor=1e308))
    assert re.search(r"\n  multiply made -?inf at index \(\d, \d\) of finite operands", failing(made))
    assert not made.model.statistic.any()


def test_a_buffer_that_the_epoch_broke_is_noticed() -> None:
    message = failing(trainer(model=Spoiling()))
    assert message.startswith("Trainer: a parameter or a buffer is not finite in epoch 1, step 4 ")
    assert "\n  'statistic' is no longer finite: it is inf at index (1,)" in message


def test_a_mask_of_infinities_is_no_failure() -> None:
    assert len(fit(trainer(model=Spoiling(spoils=False)))) == EPOCHS


def test_nan_in_the_data_is_found() -> None:
    x, t = examples()
    x[11, 2] = np.nan
    message = failing(trainer(), train_set=(x, t), batch_size=14)
    assert "the loss is not finite in epoch 1, step 1 " in message
    assert "\n  the data hold it: x[11, 2] of the training set is nan\n" in message
    assert "it fails in the very first step" in message
    y = np.zeros((14, 3))
    y[5, 1] = np.inf
    made = trainer(loss=lambda scores, t: F.mean_squared_error(scores, t))
    assert "t[5, 1] of the training set is inf" in failing(made, train_set=(examples()[0], y))


def test_a_gradient_that_is_not_finite_is_found() -> None:
    w = Tensor([[1.0], [2.0]], requires_grad=True)

    def model(x: Any) -> Any:
        return np.sqrt(np.dot(x, w) ** 2)  # not at 0

    made = Trainer(model, F.mean_squared_error, SGD({"w": w}, lr=0.1), rng=np.random.default_rng(0))
    with pytest.raises(NonFiniteError) as caught:
        made.fit((np.zeros((2, 2)), np.ones((2, 1))), epochs=1, batch_size=2)
    message = str(caught.value)
    assert message.startswith("Trainer: the gradient of 'w' is not finite in epoch 1, step 1 (learning rate 0.1)\n")
    assert "in the backward pass of sqrt" in message
    assert "the operation was called at " in message
    np.testing.assert_array_equal(w.data, [[1.0], [2.0]])


@pytest.mark.parametrize("batch_size", [14, 4])
def test_a_step_into_infinity_is_found(batch_size: int) -> None:
    made = trainer(schedule=None, clip=None)
    made.optimizer.lr = 1e300
    made.loss = lambda scores, t: F.softmax_cross_entropy(scores, t) + 1e10 * np.sum(made.model.last.b)
    message = failing(made, batch_size=batch_size)
    what = (
        "a parameter or a buffer is not finite in epoch 1, step 1"
        if batch_size == 14
        else "the loss is not finite in epoch 1, step 2"
    )
    assert message.startswith(f"Trainer: {what} (learning rate 1e+300)\n")
    assert "\n  'last.b' is no longer finite: it is -inf at index (0,)" in message
    assert "try a smaller lr than 1e+300" in message


def test_a_parameter_that_somebody_broke_is_named() -> None:
    made = trainer()
    made.model.first.W.data[2, 1] = np.inf
    assert "'first.W' is no longer finite: it is inf at index (2, 1)" in failing(made)


def test_a_loss_outside_the_library_leaves_the_operation_unknown() -> None:
    made = trainer(loss=lambda scores, t: Tensor(np.nan, requires_grad=True))
    assert "the operation was not found" in failing(made)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train_set": (np.zeros((0, 4)), np.zeros(0, int))}, ValueError, "train_set is empty"),
        ({"validation": (np.zeros((0, 4)), np.zeros(0, int))}, ValueError, "validation is empty"),
        ({"train_set": (np.zeros((3, 4)), np.zeros(2, int))}, ShapeError, r"x of shape \(3, 4\) and t of shape \(2,\)"),
        ({"validation": (np.zeros((3, 4)), np.zeros(2, int))}, ShapeError, "validation needs one target for each"),
        ({"train_set": (np.float64(1), np.zeros(2))}, ShapeError, r"x of shape \(\)"),
        ({"train_set": np.zeros((2, 4))}, TypeError, r"train_set must be a pair \(x, t\) of arrays, got ndarray"),
        ({"train_set": (1, 2, 3)}, TypeError, "must be a pair"),
        ({"batch_size": 15}, ValueError, "batch_size=15 is more than the 14 examples"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"validation": None}, ValueError, r"patience and metrics need validation=\(x, t\)"),
    ],
)
def test_fit_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    made = trainer()
    before = everything(made)
    with pytest.raises(error, match=message):
        fit(made, **arguments)
    assert everything(made) == before


def test_fit_refuses_fewer_epochs_than_there_were() -> None:
    made = trainer()
    fit(made, epochs=2)
    with pytest.raises(ValueError, match="epochs=1, but 2 are done already"):
        fit(made, epochs=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": 3}, TypeError, "the model must be callable, got int"),
        ({"loss": "mse"}, TypeError, "the loss must be callable, got str"),
        ({"schedule": 0.5}, TypeError, "schedule must be callable, got float"),
        ({"callbacks": [print, 1]}, TypeError, r"callbacks\[1\] must be callable, got int"),
        ({"metrics": {"accuracy": 0.5}}, TypeError, "accuracy must be callable"),
        ({"optimizer": 0.1}, TypeError, r"expected an optimizer, as SGD\(model, lr=0.1\), got float"),
        ({"rng": 0}, TypeError, r"rng must be np.random.default_rng\(seed\), got int"),
        ({"clip": 0}, ValueError, "clip must be positive, got 0"),
        ({"clip": math.nan}, ValueError, "clip must be positive"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"checkpoint": "run.pkl"}, ValueError, "must end in .safetensors or .npz"),
        ({"checkpoint": "nowhere/run.npz"}, ValueError, "there is no such folder"),
    ],
)
def test_a_trainer_refuses(options: dict[str, Any], error: type[Exception], message: str) -> None:
    net = TwoLayerNet(4, 5, 3)
    arguments = {"model": net, "loss": F.softmax_cross_entropy, "optimizer": SGD(net, 0.1)}
    with pytest.raises(error, match=message):
        Trainer(**(arguments | {"rng": np.random.default_rng(0)} | options))


@pytest.mark.parametrize("result", [0.5, np.float64(0.5), Tensor([1.0, 2.0], requires_grad=True)])
def test_a_loss_must_be_a_tensor_of_one_number(result: Any) -> None:
    with pytest.raises(TypeError, match="the loss must be a Tensor of one number, got"):
        fit(trainer(loss=lambda scores, t: result))


def test_a_loss_that_has_nothing_to_do_with_the_parameters() -> None:
    with pytest.raises(GraphError, match="from no parameter that the optimizer updates"):
        fit(trainer(loss=lambda scores, t: Tensor(1.0, requires_grad=True) * 2))


def test_there_must_be_a_path() -> None:
    with pytest.raises(ValueError, match="name a path"):
        trainer().save()
    with pytest.raises(ValueError, match="nothing was validated"):
        trainer().load_best()


def other_shape() -> Trainer:
    return trainer(model=Network(hidden=6))


def other_dtype() -> Trainer:
    return trainer(model=Network().astype(np.float32))


def fewer_generators() -> Trainer:
    made = trainer()
    made.model.drop.rng = made.rng
    return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_shape, r"does not fit the model:\n(.*\n)*  model.first.W: expected shape \(4, 6\), got \(4, 5\)\n"),
        (other_dtype, r"model.first.W: expected dtype float32, got float64\n"),
        (fewer_generators, r"from the random generators \['PCG64', 'MT19937'\], and this one draws from \['PCG64'\]"),
        (lambda: trainer("Adam"), "the run had the optimizer SGD, and this one has Adam"),
        (lambda: trainer("SGD"), "not expected: momentum.first.W"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_and_nothing_changes(
    tmp_path: Path, make: Callable[[], Trainer], message: str
) -> None:
    fit(trainer(checkpoint=tmp_path / "run.npz"), epochs=2)
    made = make()
    before = everything(made)
    with pytest.raises(ValueError, match=message):
        made.resume(tmp_path / "run.npz")
    assert everything(made) == before


def test_weights_are_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", Network())
    with pytest.raises(DataError, match="no checkpoint of a Trainer"):
        trainer().resume(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        trainer().resume(tmp_path / "b.npz")


@interrupted
@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m.pop("history"),
        lambda m: m.update(history=[1]),
        lambda m: m.update(history=[{}]),
        lambda m: m.update(history=None),
        lambda m: m["history"][0].update(loss="x"),
        lambda m: m["history"][0].update(metrics=[1]),
        lambda m: m.update(lr=None),
        lambda m: m.update(lr=-1.0),
        lambda m: m.update(batch_size=0),
        lambda m: m.update(generators=[{}]),
        lambda m: m.update(generators=[{"bit_generator": "default_rng"}] * 2),
        lambda m: m.update(generators=[{"bit_generator": "seed"}] * 2),
        lambda m: m["generators"][0].update(state=1),
        lambda m: m["generators"][0]["state"].update(state=-1),
        lambda m: m["generators"][1]["state"].update(key=[1]),
        lambda m: m.update({"tinygrad_kr.checkpoint": 2}),
    ],
)
def test_a_checkpoint_of_an_attacker_is_refused_and_nothing_changes(
    tmp_path: Path, damage: Callable[[Any], Any]
) -> None:
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        fit(trainer(checkpoint=path, loss=interrupting(9)))
    arrays, metadata = load(path)
    damage(metadata)
    save(path, arrays, metadata)
    made = trainer()
    before = everything(made)
    with pytest.raises(DataError, match="checkpoint"):
        made.resume(path)
    assert everything(made) == before


@interrupted
@pytest.mark.parametrize(
    "order", [np.zeros(14, np.int64), np.arange(14.0), np.arange(13) + 1, np.arange(14)[:, None], np.arange(3)]
)
def test_an_order_that_is_none_is_refused(tmp_path: Path, order: np.ndarray) -> None:
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        fit(trainer(checkpoint=path, loss=interrupting(9)))
    arrays, metadata = load(path)
    save(path, arrays | {"epoch.order": order}, metadata)
    with pytest.raises(DataError, match="is no checkpoint of a Trainer, or is damaged"):
        trainer().resume(path)


# The progress bar


def test_a_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fit(trainer(), epochs=1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(trainer(), epochs=1)
    assert "epoch 1/1" in capsys.readouterr().err
    fit(trainer(progress=False), epochs=1)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(trainer(), epochs=1)
    assert capsys.readouterr().err == ""


def test_a_schedule_from_optim() -> None:
    made = trainer(schedule=warm_up(8))
    assert [row.lr for row in fit(made)] == pytest.approx([0.05, 0.1, 0.1, 0.1])
