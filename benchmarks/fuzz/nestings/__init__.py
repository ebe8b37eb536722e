"""Transforms nested in each other, here and in JAX: ``python -m benchmarks.fuzz.nestings --count 5000 --seed 0``.

A program is about ten lines of Python: functions of smooth expressions, and grad, vjp, jvp, hvp, jacobian and hessian
of them, up to three in each other; pullbacks are called where they were made and inside other transforms. The same
text runs here and in JAX, in float64, and all results must agree.

To read in this order, which is that of the imports:

``programs``, ``drawing``
    what a program is, and how it is drawn;
``here``, ``there``, ``passes``
    what its names mean on both sides (only ``there`` knows JAX), and in the plain evaluations it is timed against;
``shrinking``, ``compare``, ``tally``, ``check``, ``__main__``
    making a failing program smaller, what differs, what is counted, and the run;
``stress``
    one pullback used thousands of times.
"""
