"""Primitive: a forward function and, side by side, one rule per operand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_kr.engine import callers
from tinygrad_kr.engine.arrays import is_foreign, plain_array
from tinygrad_kr.engine.debug import record_origin, remedy, require_finite
from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.graph import RECORDING, Link, Node, Wrap, mode
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import DtypeError, IndexingError, ShapeError

__all__ = ["Primitive"]

Rule = Callable[..., Any]
new_tensor = Tensor.__new__
SCALARS = frozenset((float, int, bool))


class Primitive:
    """An operation that can be differentiated.

    Parameters
    ----------
    name : str
        What messages and pictures call it.
    forward : callable
        Computes the output from arrays: operands by position, static parameters by keyword.
    expects : callable, optional
        Given the operands' shapes and the parameters, says in words what the forward function expects of them. It is
        asked only once the forward function has failed.
    real : bool
        Whether it is about real numbers: integers and booleans are then taken as float64. Otherwise NumPy decides, and
        may compute in as few bits as they have.
    residue : callable, optional
        For a forward function that returns its output and one intermediate result more, which rules may ask for as
        ``r``: how to compute ``r`` again from operands and static parameters (by name), for when the rules themselves
        are differentiated.
    **rules : callable or None
        One for each operand, by the operand's name and in the order of the operands: the vector-Jacobian product. A
        rule takes ``g``, the cotangent of the output, and names what else it needs: operands by name, ``y`` for the
        output, then ``shape`` for the shape of its own operand, and static parameters by name. Only what rules name is
        kept in memory until the backward pass. A rule returns a new array, or what it was given, or a view of it.
        Broadcasting is undone afterwards. None: no gradient flows to that operand.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Primitive, Tensor
    >>> cube = Primitive("cube", lambda x: x**3, x=lambda g, x: g * 3 * x**2)
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> cube(x).sum().backward()
    >>> x.grad
    array([ 3., 12.])
    """

    __slots__ = (
        *("_defaults", "_plans", "expects", "forward", "known"),
        *("last", "name", "operands", "real", "residue", "rules"),
    )

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        /,
        *,
        expects: Callable[..., str] | None = None,
        real: bool = False,
        residue: Callable[..., Any] | None = None,
        **rules: Rule | None,
    ) -> None:
        self.name: str = name
        self.forward: Callable[..., Any] = forward
        self.expects: Callable[..., str] | None = expects
        self.real: bool = real
        self.residue: Callable[..., Any] | None = residue
        self.operands: tuple[str, ...] = tuple(rules)
        self.last: int = len(rules) - 1  # its rule also serves the operands that follow
        self._defaults = _keyword_defaults(forward)
        self.known: tuple[str, ...] = ("shape", "position", *self._defaults)
        self.rules: list[Any] = [_parsed(self, rule) if rule else None for rule in rules.values()]
        self._plans: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        if isinstance(forward, np.ufunc):
            NUMPY.setdefault(forward, self)

    def __repr__(self) -> str:
        return f"<Primitive {self.name}({', '.join(self.operands)})>"

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Compute the output; record a Node if a gradient can be asked for."""
        arrays: list[Any] = []
        links: list[Link] = []
        wants = 0  # bit i is set if operand i wants a gradient
        any_tensor = False
        bit = 1
        for operand in operands:
            kind = type(operand)
            if kind is Tensor:
                any_tensor = True
                arrays.append(operand.data)
                link = operand._node
                links.append(link)
                if link is not None:
                    wants |= bit
            else:
                arrays.append(operand if kind is ndarray or kind in SCALARS else self._array(operand, operands))
                links.append(None)
            bit += bit
        if not wants and self.real:
            arrays = [as_real(array) for array in arrays]
        state = mode.get()
        try:
            if state is RECORDING or not state.debugging:
                output = self.forward(*arrays, **params)
            else:
                output = callers.at_calling_line(partial(self.forward, *arrays, **params), remedy(self.name))
        except RuntimeWarning:
            output = callers.at_calling_line(partial(self.forward, *arrays, **params))
        except (ValueError, IndexError) as error:
            if is_about_values(error):
                raise
            raise self._explained(error, operands, arrays, params) from None
        if self.residue is not None:
            output, r = output
        if not any_tensor:
            return output
        if type(output) is not ndarray:
            if type(output) is Tensor:
                raise self._about_tensors(params)
            output = np.asarray(output) if isinstance(output, np.generic) else plain_array(output, self.name)
        fresh = output.base is None and output is not arrays[0]
        version = None if fresh else shared_version(output, operands)
        if state is not RECORDING:
            if state.debugging:
                require_finite(self.name, arrays, output)
            if not state.recording:
                wants = 0
        if not wants:
            return Tensor.of(output, None, [0] if fresh else version)
        kept, dropped = self._plans.get(wants | bit) or self._plan(wants, len(operands))
        guards: Any = ()
        for i in kept:
            operand = operands[i]
            if type(operand) is Tensor and operand._version is not None:
                guards += ((operand._version, operand._version[0], i),)
        arrays.append(output)
        if self.residue is not None:
            arrays.append(r)
        for i in dropped:
            arrays[i] = None
        if params:
            for value in params.values():
                if type(value) not in UNCHANGING:
                    params = self._frozen(params)
                    break
        node = Node(self, links, arrays, params, output, guards)
        if state.debugging:
            record_origin(node)
        tensor = new_tensor(Tensor)  # Tensor.of, written out: this is where the time goes
        tensor.data, tensor.name, tensor._node, tensor._version = output, None, node, version
        return tensor

    def _array(self, operand: Any, operands: Any) -> Any:
        """Return an operand as an array; without Tensors, arrays of other libraries are left to NumPy's protocols."""
        if is_foreign(operand) and not any(type(other) is Tensor for other in operands):
            return operand
        return plain_array(operand, self.name)

    def _about_tensors(self, params: dict[str, Any]) -> DtypeError:
        """Say which parameter is a Tensor."""
        names = ", ".join(name for name, value in params.items() if type(value) is Tensor)
        return DtypeError(
            f"{self.name}: {names or 'a parameter'} is a Tensor, but only operands have gradients.\n"
            "  pass a number or an array (t.item(), t.data), or write the function with NumPy's operators"
        )

    def _frozen(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return parameters that nobody else can change before the backward pass; refuse those that no rule knows."""
        if not self._defaults:
            raise TypeError(f"{self.name}: takes no parameter {', '.join(params)}")
        return {name: frozen(value) for name, value in params.items()}

    def pull_back(self, node: Node, position: int, g: Any, wrap: Wrap | None) -> Any:
        """Apply the rule of one operand, with the parameters it asks for, recorded if ``wrap`` is given."""
        rule, needs, keywords = self._rule(position)
        values = [node.saved[i] if wrap is None else self._wrapped(node, i, wrap) for i in needs]
        known = {**self._defaults, **node.params, "shape": node.links[position].shape, "position": position}
        return rule(g, *values, **{keyword: known[keyword] for keyword in keywords})

    def _wrapped(self, node: Node, i: int, wrap: Wrap) -> Any:
        """Return what a rule asked for as a Tensor, so that the rule can be differentiated in turn."""
        if i <= len(self.operands):
            version = next((version for version, _, position in node.guards if position == i), None)
            return wrap(node.saved[i], (*node.links, node)[i], version)
        assert self.residue is not None
        params, names = {**self._defaults, **node.params}, inspect.signature(self.residue).parameters
        where = {operand: i for i, operand in enumerate(self.operands)}
        return self.residue(
            *(self._wrapped(node, where[name], wrap) if name in where else params[name] for name in names)
        )

    def _rule(self, position: int) -> Any:
        return self.rules[min(position, self.last)]

    def _plan(self, wants: int, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which operands are kept, and which positions are dropped, when just these operands want a gradient."""
        needed: set[int] = set()
        for position in range(count):
            if wants >> position & 1:
                rule = self._rule(position)
                if rule is None:
                    raise DtypeError(
                        f"{self.name}: no gradient is defined for its operand {self.label(position)}.\n"
                        "  pass it as a plain array or as t.detach()"
                    )
                needed.update(rule[1])
        if needed and count != len(self.operands):
            raise TypeError(f"{self.name}: takes {len(self.operands)} operands {self.operands}, got {count}")
        positions = range(count + (1 if self.residue is None else 2))
        if positions[-1] in needed and self.residue is not None:
            named = inspect.signature(self.residue).parameters
            needed.update(i for i, operand in enumerate(self.operands) if operand in named)
        plan = tuple(i for i in range(count) if i in needed), tuple(i for i in positions if i not in needed)
        self._plans[wants | 1 << count] = plan
        return plan

    def label(self, position: int) -> str:
        """What messages call an operand."""
        if position <= self.last:
            return self.operands[position]
        return f"{self.operands[self.last]}[{position - self.last}]"

    def _explained(self, error: Exception, operands: Any, arrays: Any, params: dict[str, Any]) -> Exception:
        """The same error in words: the operation, its operands and their shapes, and what was expected."""
        names = [
            f"{self.label(i)} = {operand.name}" if isinstance(operand, Tensor) and operand.name else self.label(i)
            for i, operand in enumerate(operands)
        ]
        shapes = [np.shape(array) for array in arrays]
        what = "inner dimensions differ" if "gufunc" in str(error) else error
        lines = [f"{self.name}: {what}", "  " + ",  ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=True))]
        if params:
            lines[-1] += "; " + ", ".join(f"{key}={value!r}" for key, value in params.items())
        if self.expects is not None:
            lines.append("  expected " + self.expects(*shapes, **params))
        return (IndexingError if isinstance(error, IndexError) else ShapeError)("\n".join(lines))


def is_about_values(error: Exception) -> bool:
    """Whether an error speaks for itself, since it is not about shapes: one of our own, a singular matrix."""
    singular = (
        isinstance(error, np.linalg.LinAlgError) and "dimensional" not in str(error) and "square" not in str(error)
    )
    return singular or type(error).__module__.startswith("tinygrad_kr")


UNCHANGING = frozenset((int, float, bool, str, slice, type(None)))


def as_real(array: Any) -> Any:
    """Return integers and booleans as float64, anything else as it is."""
    return array if np.asarray(array).dtype.kind not in "iub" else np.asarray(array, np.float64)


def frozen(value: Any) -> Any:
    """Copy arrays and lists, also inside tuples."""
    if isinstance(value, ndarray):
        return value.copy()
    return type(value)(map(frozen, value)) if type(value) in (tuple, list) else value


def shared_version(output: Any, operands: tuple[Any, ...]) -> list[int] | None:
    """Return the version counter of the operand whose memory the output shows, or one of its own."""
    for operand in operands:
        if isinstance(operand, Tensor):
            data = operand.data
            if output is data or output.base is (data if data.base is None else data.base):
                return operand._version
    return [0]


def _parsed(primitive: Primitive, rule: Rule) -> tuple[Rule, tuple[int, ...], tuple[str, ...]]:
    """Read from a rule's parameter names what it needs: positions among operands and output, then keywords."""
    first, *names = inspect.signature(rule).parameters
    arrays = {name: i for i, name in enumerate((*primitive.operands, "y", "r"))}
    needs = [name for name in names if name in arrays]
    unknown = [name for name in names[len(needs) :] if name not in primitive.known]
    if first != "g" or names[: len(needs)] != needs or unknown:
        raise TypeError(
            f"{primitive.name}: a rule takes g, then some of the operands {', '.join(primitive.operands)} or y, "
            f"then some of {', '.join(primitive.known)}; this one takes ({', '.join((first, *names))})"
        )
    return rule, tuple(arrays[name] for name in needs), tuple(names[len(needs) :])


def _keyword_defaults(forward: Callable[..., Any]) -> dict[str, Any]:
    """Return the static parameters of a forward function and their defaults; what is compiled has none."""
    if isinstance(forward, np.ufunc):
        return {}
    try:
        parameters = inspect.signature(forward).parameters.values()
    except ValueError:  # compiled, without a signature: numpy.where before NumPy 2.4
        return {}
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
