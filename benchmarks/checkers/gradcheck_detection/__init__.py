"""Which wrong gradients do gradient checkers find? ``python -m benchmarks.checkers.gradcheck_detection --help``.

Right gradients are written by hand in NumPy and then broken on purpose. Every checker sees the same forward and
backward functions, and says FAIL, PASS or that it cannot tell. Right gradients at difficult points show false alarms.

To read in this order, which is that of the imports:

``operations``
    the table of operations: forward, backward, and how ordinary inputs are drawn;
``mutants``, ``formulas``
    the ways to break a backward function: those that fit any operation, and those that belong to a formula;
``difficult``
    right gradients where finite differences are in trouble;
``rules``, ``packages``, ``checkers``
    the checkers: decision rules written out, adapters of the packages themselves, and their table;
``trials``, ``tally``, ``report``, ``__main__``
    one check; what is counted; tables, pictures and JSON; the run.
"""
