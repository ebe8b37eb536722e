"""Who is measured: one entry of PEERS and one module each, imported only in that peer's own process.

A peer's module has

``array(values)``
    an array of its own type, of the same dtype;
``PROGRAMS``
    by name, what it computes from its parameters and a batch (x, t): two_layers, layers, lenet, chain,
    documents; a peer that lacks one is left out of its workloads;
``Training(program, parameters, lr)``
    with ``step(x, t)``, which computes the loss and all gradients, updates the parameters by gradient descent and
    returns the loss, and ``values()``, the parameters as NumPy arrays in the order and shape in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A way to compute the workloads: its module here, what importing it means, what to state the versions of."""

    name: str
    title: str
    module: str
    imports: str
    packages: tuple[str, ...]


def _peer(name: str, title: str, module: str, imports: str, *packages: str) -> Peer:
    return Peer(name, title, f"benchmarks.speed.peers.{module}", imports, packages)


OURS = _peer("tinygrad_kr", "tinygrad_kr", "ours", "tinygrad_kr", "tinygrad_kr", "numpy")

_ALL = (
    _peer("numpy", "hand-written NumPy", "by_hand", "numpy", "numpy"),
    _peer("torch", "PyTorch eager", "pytorch", "torch", "torch"),
    _peer("torch-compile", "PyTorch torch.compile", "pytorch_compiled", "torch", "torch"),
    _peer("jax", "JAX jit", "jax_jit", "jax", "jax", "jaxlib"),
    _peer("autograd", "HIPS autograd", "hips_autograd", "autograd", "autograd", "numpy"),
    _peer("mygrad", "MyGrad", "my_grad", "mygrad", "mygrad", "numpy"),
    _peer("mygrad-unguarded", "MyGrad, unguarded", "my_grad_unguarded", "mygrad", "mygrad", "numpy"),
    _peer("dezero", "DeZero", "de_zero", "dezero", "dezero", "numpy"),
)
PEERS = {peer.name: peer for peer in _ALL}
