"""Functions that capture Tensors, here and in PyTorch: ``python -m benchmarks.fuzz.captures --count 2000``.

A program transforms a function that holds Tensors from outside, leaves that require a gradient among them. What the
transform returns enters a loss together with the leaves, and ``backward()`` reaches them through both. Values and the
gradients of all leaves must agree with PyTorch. A result that depends on a leaf outside is a Tensor on the graph; where
the function depends on none, or under ``no_grad()``, there is no graph.

To read in this order, which is that of the imports:

``drawing``
    programs of ``benchmarks.fuzz.nestings``, some of whose inputs are Tensors, and a network with its parameters;
``here``, ``there``
    how they run on both sides; only ``there`` knows PyTorch;
``check``, ``__main__``
    what differs, and the run.
"""
