"""Drawing a program: transforms of functions that hold transforms of functions, down to smooth expressions.

Everything has a kind: a scalar, a vector of three, a matrix of three by three, or a tuple or dict of kinds. A draft
knows which values and functions are in scope at a place of the text, and composes expressions of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.fuzz.nestings.programs import Function, Line, Program, written

S, V, M = "scalar", "vector", "matrix"
Kind = Any  # S, V, M, or a tuple or dict of kinds

FORMS = {
    S: [
        *(
            "({S} * {S})",
            "({S} - {S})",
            "np.tanh({S})",
            "np.cos({S})",
            "np.exp(-{S} ** 2)",
            "({S} / (2 + np.sin({S})))",
        ),
        *("({V} @ {V})", "np.sum({V} * {V})", "np.mean({V})", "{V}[1]", "np.prod(np.cos({V}))", "np.sum(np.sin({M}))"),
        *("np.log1p(np.sum({V} ** 2))", "np.linalg.det(I + np.tanh({M}) / 4)", "np.trace({M})"),
        *("np.sqrt(1 + {S} ** 2)", "({S} / (2 + np.sin({S})))"),
    ],
    V: [
        *("({V} * {V})", "({V} + {V})", "({V} - {S})", "({S} * {V})", "np.tanh({V})", "np.sin({V})", "np.cos({V})"),
        *(
            "np.exp(-{V} ** 2)",
            "({V} / (2 + np.cos({V})))",
            "np.sqrt(1 + {V} ** 2)",
            "np.arctan({V})",
            "({V} ** 3 / 3)",
        ),
        *("({M} @ {V})", "({V} @ {M})", "np.sum({M}, axis=0)", "{M}[0]", "{M}[:, 1]", "np.roll({V}, 1)"),
        *("np.concatenate([{V}[1:], {V}[:1]])", "np.stack([{S}, {S}, {S}])", "np.cumsum({V}, axis=0)"),
        *("np.linalg.solve(4 * I + np.tanh({M}), {V})", "np.einsum('i,ij->j', {V}, {M})", "np.logaddexp({V}, {V})"),
        *("np.reshape({M}, (-1,))[2:5]", "({V}[:2] @ {M}[1:])", "({V} ** 3 / 3)"),
    ],
    M: [
        *("({V}[:, None] * {V})", "({M} @ {M} / 3)", "{M}.T", "np.tanh({M})", "np.sin({M})", "({S} * {M})"),
        *("({M} + {V})", "({M} * {M})", "np.stack([{V}, {V}, {V}])", "np.linalg.inv(4 * I + np.tanh({M}))"),
    ],
}
HEAVY = {  # what the many rows of A make expensive; in every function that holds no transform
    S: "np.mean(np.tanh(A @ {V}))",
    V: "(np.tanh(A @ {V}) @ A / len(A))",
    M: "(A.T @ np.sin(A @ {M}) / len(A))",
}
CHANGED = {  # a value of one kind as another
    (S, S): "{}",
    (S, V): "({} * {V})",
    (S, M): "({} * {M})",
    (V, S): "np.mean(np.sin({}))",
    (V, V): "{}",
    (V, M): "({}[:, None] * {V})",
    (M, S): "np.mean(np.cos({}))",
    (M, V): "({} @ {V})",
    (M, M): "{}",
}
COMBINED = ["({} * {})", "({} + {})", "({} - np.sin({}))", "(np.tanh({}) + {})"]
PASSES = {"grad": 2, "value_and_grad": 2, "vjp": 3, "jvp": 2, "hvp": 4, "jacobian": 5, "hessian": 8}  # about
TRANSFORMS = [*PASSES, "vjp", "vjp", "vjp"]  # pullbacks have the most ways to be used
MOST_PASSES = 100


@dataclass(frozen=True)
class Value:
    text: str
    kind: str


@dataclass(frozen=True)
class Call:
    """Something to be called: how a call is written, and the kinds of arguments and result."""

    form: str
    arguments: tuple[Kind, ...]
    result: str


@dataclass
class Scope:
    """What can be named at a place of the text."""

    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def inner(self) -> Scope:
        return Scope(list(self.values), list(self.calls))

    def add(self, text: str, kind: Kind) -> None:
        self.values += values_of(text, kind)


class Draft:
    """Chooses; numbers the names it gives."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.data = np.random.default_rng(seed)
        self.count: dict[str, int] = {}

    def name(self, stem: str) -> str:
        number = self.count[stem] = self.count.get(stem, -1) + 1
        return f"{stem}{number}"

    def numbers(self, kind: str) -> Any:
        """Draw the value of an input, as it is written."""
        return np.round(self.data.normal(0, 0.7, {S: (), V: 3, M: (3, 3)}[kind]), 2).tolist()

    # Expressions

    def expression(self, kind: Kind, scope: Scope, size: int = 2) -> str:
        if isinstance(kind, tuple):
            return f"({', '.join(self.expression(k, scope, size) for k in kind)},)"
        if isinstance(kind, dict):
            return "{" + ", ".join(f"{key!r}: {self.expression(k, scope, size)}" for key, k in kind.items()) + "}"
        calls = [call for call in scope.calls if call.result == kind]
        if size > 0 and calls and self.rng.random() < 0.3:
            call = self.rng.choice(calls[-3:])
            arguments = (self.expression(k, scope, size - 1) for k in call.arguments)
            return call.form.replace("{}", ", ".join(arguments))
        if size > 0 and self.rng.random() < 0.8:
            return self.filled(self.rng.choice(FORMS[kind]), scope, size - 1)
        names = [value.text for value in scope.values if value.kind == kind]
        return self.rng.choice(names[-4:] if self.rng.random() < 0.6 else names)

    def filled(self, form: str, scope: Scope, size: int) -> str:
        for kind, mark in ((S, "{S}"), (V, "{V}"), (M, "{M}")):
            while mark in form:
                form = form.replace(mark, self.expression(kind, scope, size), 1)
        return form

    def including(self, kind: Kind, scope: Scope, needed: list[Value], heavy: bool) -> str:
        """Return an expression of this kind that depends on one of the values, in each place of the kind."""
        if isinstance(kind, tuple):
            return f"({', '.join(self.including(k, scope, needed, heavy) for k in kind)},)"
        if isinstance(kind, dict):
            parts = (f"{key!r}: {self.including(k, scope, needed, heavy)}" for key, k in kind.items())
            return "{" + ", ".join(parts) + "}"
        value = self.rng.choice(needed)
        if heavy and kind == M:
            term = HEAVY[M].replace("{M}", self.filled(CHANGED[value.kind, M].replace("{}", value.text), scope, 0))
        elif heavy:
            term = HEAVY[kind].replace("{V}", self.filled(CHANGED[value.kind, V].replace("{}", value.text), scope, 0))
        else:
            term = self.filled(CHANGED[value.kind, kind].replace("{}", value.text), scope, 0)
        return self.rng.choice(COMBINED).format(term, self.expression(kind, scope, 1))

    def argument(self, kind: Kind, scope: Scope) -> str:
        """Return an argument: often a variable as it is."""
        return self.expression(kind, scope, self.rng.choice((0, 0, 1)))

    # Functions and transforms

    def function(
        self, kinds: tuple[Kind, ...], returns: Kind, scope: Scope, depth: int, passes: float, twice: float = 0.2
    ) -> Function:
        """Draw a function; with depth left it holds a transform, otherwise expressions only."""
        parameters, scope = tuple(self.name("x") for _ in kinds), scope.inner()
        needed: list[Value] = []
        for parameter, kind in zip(parameters, kinds, strict=True):
            needed += values_of(parameter, kind)
        scope.values += needed
        body: list[Line] = []
        if depth > 0:
            before = len(scope.values)
            for _ in range(1 + (self.rng.random() < twice)):
                body += self.transform(scope, depth, passes)
            needed = scope.values[before:]
        elif self.rng.random() < 0.3:
            local, kind = self.name("h"), self.rng.choice((S, V))
            body.append(f"{local} = {bare(self.including(kind, scope, needed, False))}")
            scope.add(local, kind)
            needed = [*needed, scope.values[-1]]
        result = bare(self.including(returns, scope, needed, heavy=depth == 0))
        return Function(self.name("f"), parameters, body, result)

    def transform(self, scope: Scope, depth: int, passes: float) -> list[Line]:
        """Write a transform of a function, and bring its results into scope."""
        which = self.rng.choice([name for name in TRANSFORMS if PASSES[name] <= passes] or ["grad"])
        kinds = tuple(self.kind(which) for _ in range(self.rng.choice((1, 1, 2))))
        returns = self.kind(which) if which in ("vjp", "jvp", "jacobian") else S
        deeper = depth - 1 if self.rng.random() < 0.85 else 0
        f = self.function(kinds, returns, scope, deeper, passes / PASSES[which])
        arguments = [self.argument(kind, scope) for kind in kinds]
        lines = [f, *getattr(self, which)(f.name, kinds, returns, arguments, scope)]
        scope.calls.append(Call(f"{f.name}({{}})", kinds, returns))
        return lines

    def kind(self, which: str) -> Kind:
        """Draw a kind for an argument or value; full derivatives of matrices would have too many axes."""
        if which in ("jacobian", "hessian"):
            return self.rng.choice([S, V, V, V, (V, S), {"a": V, "b": S}] if which == "jacobian" else [S, V, V, (V, S)])
        return self.rng.choice([S, V, V, V, M, (V, S), {"w": M, "b": V}, {"a": (V, V)}])

    def chosen(self, kinds: tuple[Kind, ...], single: bool = False) -> tuple[str, Kind]:
        """Draw argnums, as they are written, and the kind of a gradient."""
        options: list[tuple[str, Kind]] = [("", kinds[0]), (", argnums=-1", kinds[-1])]
        if len(kinds) == 2 and not single:
            options += [(", argnums=(0, 1)", kinds), (", argnums=(1, 0)", kinds[::-1]), (", argnums=(1,)", kinds[1:])]
        return self.rng.choice(options)

    def grad(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds)
        g = self.name("g")
        scope.add(g, kind)
        return [f"{g} = grad({f}{argnums})({', '.join(arguments)})"]

    def value_and_grad(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds)
        y, g = self.name("y"), self.name("g")
        scope.add(y, S)
        scope.add(g, kind)
        return [f"{y}, {g} = value_and_grad({f}{argnums})({', '.join(arguments)})"]

    def vjp(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds)
        kind = kind if argnums else kinds
        y, p = self.name("y"), self.name("p")
        scope.add(y, returns)
        lines: list[Line] = [f"{y}, {p} = vjp({f}, {', '.join(arguments)}{argnums})"]
        call = f"{p}({{}})"
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            u = self.name("u")
            cotangent = y if self.rng.random() < 0.4 else self.argument(returns, scope)
            lines.append(f"{u} = {call.format(cotangent)}")
            scope.add(u, kind)
        for value in values_of(call, kind):
            scope.calls.append(Call(value.text, (returns,), value.kind))
        return lines

    def jvp(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        y, t = self.name("y"), self.name("t")
        tangents = ", ".join(self.argument(kind, scope) for kind in kinds)
        scope.add(y, returns)
        scope.add(t, returns)
        return [f"{y}, {t} = jvp({f}, ({', '.join(arguments)},), ({tangents},))"]

    def hvp(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds, single=True)
        g = self.name("g")
        line = f"{g} = hvp({f}{argnums})({', '.join([*arguments, self.argument(kind, scope)])})"
        scope.add(g, kind)
        return [line]

    def jacobian(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds)
        j = self.name("j")
        scope.add(j, derivative(returns, kind))
        return [f"{j} = jacobian({f}{argnums})({', '.join(arguments)})"]

    def hessian(self, f: str, kinds: Any, returns: Kind, arguments: list[str], scope: Scope) -> list[Line]:
        argnums, kind = self.chosen(kinds, single=True)
        h = self.name("j")
        scope.add(h, derivative(kind, kind))
        return [f"{h} = hessian({f}{argnums})({', '.join(arguments)})"]


def values_of(text: str, kind: Kind) -> list[Value]:
    """Return the leaves of something of a kind."""
    if isinstance(kind, tuple):
        return [value for i, k in enumerate(kind) for value in values_of(f"{text}[{i}]", k)]
    if isinstance(kind, dict):
        return [value for key, k in kind.items() for value in values_of(f"{text}[{key!r}]", k)]
    return [Value(text, kind)]


def derivative(value: Kind, argument: Kind) -> Kind:
    """Return the kind of all derivatives of a value with respect to an argument."""
    if isinstance(value, tuple):
        return tuple(derivative(k, argument) for k in value)
    if isinstance(value, dict):
        return {key: derivative(k, argument) for key, k in value.items()}
    if isinstance(argument, tuple):
        return tuple(derivative(value, k) for k in argument)
    if isinstance(argument, dict):
        return {key: derivative(value, k) for key, k in argument.items()}
    return (S, V, M)[(value == V) + (argument == V)]


def bare(text: str) -> str:
    """Leave out the parentheses around a whole expression."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if text[0] == "(" and i == len(text) - 1 and text[-2] != "," else text
    return text


def program(seed: int) -> Program:
    """Write the program of a seed: transforms nested up to three deep."""
    draft, scope = Draft(seed), Scope()
    inputs = {}
    for name, kind in (("x", V), ("a", S), ("m", M)):
        inputs[name] = draft.numbers(kind)
        scope.add(name, kind)
    inputs_end = len(scope.values)
    body = draft.transform(scope, draft.rng.choice((1, 2, 2, 3, 3, 3)), MOST_PASSES)
    result = draft.including(draft.rng.choice((S, V)), scope, scope.values[inputs_end:], heavy=False)
    return Program(seed, inputs, written([*body, f"result = {bare(result)}"]))
