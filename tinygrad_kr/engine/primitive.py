"""Primitive: a forward function and, side by side, one rule per operand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_kr.engine.debug import record_origin, require_finite
from tinygrad_kr.engine.graph import Link, Node, fit, mode
from tinygrad_kr.engine.tensor import NUMPY, Tensor
from tinygrad_kr.errors import DtypeError, ShapeError

__all__ = ["Primitive"]

Rule = Callable[..., Any]
SCALARS = (float, int, bool, complex)


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
    **rules : callable or None
        One for each operand, by the operand's name and in the order of the operands: the vector-Jacobian product. A
        rule takes ``g``, the cotangent of the output, and names what else it needs: operands by name, ``y`` for the
        output, then ``shape`` for the shape of its own operand, and static parameters by name. Only what rules name is
        kept in memory until the backward pass. Broadcasting is undone after a rule returns. None: no gradient flows
        to that operand.

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

    __slots__ = ("_defaults", "_keeps", "expects", "forward", "name", "operands", "rules")

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        /,
        *,
        expects: Callable[..., str] | None = None,
        **rules: Rule | None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.expects = expects
        self.operands = tuple(rules)
        self.rules = [_parsed(self, rule) if rule else None for rule in rules.values()]
        self._defaults = _keyword_defaults(forward)
        self._keeps: dict[int, tuple[bool, ...]] = {}
        if isinstance(forward, np.ufunc):
            NUMPY[forward] = self

    def __repr__(self) -> str:
        return f"<Primitive {self.name}({', '.join(self.operands)})>"

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Compute the output; record a Node if a gradient can be asked for."""
        arrays: list[Any] = []
        links: list[Link] = []
        wants = 0  # bit i is set if operand i wants a gradient
        any_tensor = False
        for i, operand in enumerate(operands):
            link = None
            if isinstance(operand, Tensor):
                any_tensor = True
                arrays.append(operand.data)
                if operand._requires_grad:
                    wants |= 1 << i
                    link = operand._node or operand
            else:
                arrays.append(operand if hasattr(operand, "shape") or type(operand) in SCALARS else np.asarray(operand))
            links.append(link)
        try:
            output = self.forward(*arrays, **params)
        except (ValueError, IndexError) as error:
            raise self._explained(error, operands, arrays, params) from error
        if not any_tensor:
            return output
        if isinstance(output, np.generic):
            output = np.asarray(output)
        view_of = None if output.base is None and output is not arrays[0] else shared_version(output, operands)
        state = mode.get()
        if state.debugging:
            require_finite(self.name, arrays, output)
        if not wants or not state.recording:
            return Tensor.of(output, None, view_of or [0])
        if output.dtype.kind != "f":
            raise DtypeError(f"{self.name}: a gradient cannot flow through a result of dtype {output.dtype}")
        keeps = self._keeps.get(wants) or self._plan(wants)
        guards = [
            (operand._version, operand._version[0], i)
            for i, operand in enumerate(operands)
            if keeps[i] and isinstance(operand, Tensor) and operand._version is not None
        ]
        arrays.append(output)
        saved = [array if keep else None for array, keep in zip(arrays, keeps, strict=True)]
        node = Node(self, links, saved, params, output, guards)
        if state.debugging:
            record_origin(node)
        return Tensor.of(output, node, view_of)

    def pull_back(self, node: Node, position: int, g: Any, wrap: Callable[[Any, Link], Any] | None) -> Any:
        """Apply the rule of one operand: the cotangent of the output becomes a gradient of the operand."""
        rule, needs, keywords = self.rules[position]  # type: ignore[misc]
        saved, link = node.saved, node.links[position]
        assert saved is not None
        if wrap is None:
            values = [saved[i] for i in needs]
        else:
            values = [wrap(saved[i], node.links[i] if i < len(node.links) else node) for i in needs]
        settings = {}
        for keyword in keywords:
            if keyword == "shape":
                settings[keyword] = link.shape
            else:
                settings[keyword] = node.params[keyword] if keyword in node.params else self._defaults[keyword]
        try:
            gradient = rule(g, *values, **settings)
        except Exception as error:
            error.add_note(f"in the backward pass of {self.name}, for its operand {self.operands[position]}")
            if node.origin is not None:
                error.add_note(f"the operation was called at {node.origin.where}")
            raise
        if type(gradient) is np.ndarray and gradient.shape == link.shape and gradient.dtype is link.dtype:
            return gradient
        return fit(gradient, link, self, position)

    def _plan(self, wants: int) -> tuple[bool, ...]:
        """Which operands, and whether the output, are kept when just these operands want a gradient."""
        needed: set[int] = set()
        for position, rule in enumerate(self.rules):
            if wants >> position & 1:
                if rule is None:
                    raise DtypeError(
                        f"{self.name}: no gradient is defined for its operand {self.operands[position]}.\n"
                        "  pass it as a plain array or as t.detach()"
                    )
                needed.update(rule[1])
        self._keeps[wants] = tuple(i in needed for i in range(len(self.operands) + 1))
        return self._keeps[wants]

    def _explained(self, error: Exception, operands: Any, arrays: Any, params: dict[str, Any]) -> Exception:
        """The same error in words: the operation, its operands and their shapes, and what was expected."""
        if type(error).__module__.startswith("tinygrad_kr"):
            return error
        names = [
            operand.name if isinstance(operand, Tensor) and operand.name else name
            for name, operand in zip(self.operands, operands, strict=False)
        ]
        shapes = [np.shape(array) for array in arrays]
        lines = [f"{self.name}: {error}"]
        lines.append("  " + ",  ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=False)))
        if params:
            lines[-1] += "; " + ", ".join(f"{key}={value!r}" for key, value in params.items())
        if self.expects is not None:
            lines.append("  expected " + self.expects(*shapes, **params))
        return ShapeError("\n".join(lines))


def shared_version(output: Any, operands: tuple[Any, ...]) -> list[int] | None:
    """Return the version counter of the operand whose memory the output shows, if there is one."""
    for operand in operands:
        if isinstance(operand, Tensor):
            data = operand.data
            if output is data or output.base is (data if data.base is None else data.base):
                return operand._version
    return None


def _parsed(primitive: Primitive, rule: Rule) -> tuple[Rule, tuple[int, ...], tuple[str, ...]]:
    """Read from a rule's parameter names what it needs: positions among operands and output, then keywords."""
    first, *names = inspect.signature(rule).parameters
    arrays = {name: i for i, name in enumerate((*primitive.operands, "y"))}
    needs = [name for name in names if name in arrays]
    if first != "g" or names[: len(needs)] != needs:
        raise TypeError(
            f"{primitive.name}: a rule takes g, then operands {primitive.operands} or y, then parameters; "
            f"this one takes ({', '.join((first, *names))})"
        )
    return rule, tuple(arrays[name] for name in needs), tuple(names[len(needs) :])


def _keyword_defaults(forward: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(forward, np.ufunc):
        return {}
    parameters = inspect.signature(forward).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
