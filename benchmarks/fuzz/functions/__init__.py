"""Random programs, here and in PyTorch: ``python -m benchmarks.fuzz.functions --count 20000 --seed 0``.

A program is Python text: up to 30 lines of NumPy on a few random arrays. It runs on Tensors; each line has a twin that
runs on PyTorch, in float64. All intermediate values, the loss and the gradient of each leaf must agree.

To read in this order, which is that of the imports:

``programs``, ``here``, ``there``
    what a program is, and how it runs on both sides; only ``there`` knows PyTorch;
``operations``, ``draft``, ``operands``, ``parameters``, ``drawing``
    the table of operations, and how programs are drawn from it;
``compare``, ``tally``, ``fuzzer``, ``__main__``
    what differs, what is counted, and the run.
"""
