"""Calculus, equations, matrices, series."""

from sympy import (
    Eq,
    Function,
    Matrix,
    diff,
    dsolve,
    exp,
    integrate,
    limit,
    oo,
    series,
    simplify,
    sin,
    solve,
    sqrt,
    symbols,
)

x, t = symbols("x t")
y = Function("y")
print(diff(sin(x) * exp(x), x), integrate(sin(x**2), (x, -oo, oo)))
print(limit(sin(x) / x, x, 0), solve(x**2 - 2, x), series(exp(x), x, 0, 4))
print(dsolve(Eq(y(t).diff(t, t) - y(t), exp(t)), y(t)))
print(Matrix([[1, 2], [2, 2]]).eigenvals(), simplify(sin(x) ** 2 + (1 - sin(x) ** 2)), sqrt(8))
