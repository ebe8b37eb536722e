"""Are right gradients of public packages reported as wrong? ``python -m benchmarks.checkers.gradcheck_public --help``.

The derivatives are the packages' own, called and not copied; each is given to this package's harness together with
the function that it is the derivative of.

To read in this order, which is that of the imports:

``cases``
    what a case is, and the commonest kinds: a derivative element by element, a Jacobian;
``of_scipy``, ``of_statsmodels``, ``of_sklearn``, ``of_astropy``
    the cases of one package each;
``errors_found``
    derivatives that were reported and are wrong, with the evidence;
``__main__``
    the run and its table.
"""
