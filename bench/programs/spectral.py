"""The spectral norm of an infinite matrix, cut at n: nested generators of floats."""


def entry(i: int, j: int) -> float:
    """One element of the matrix."""
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(v: list[float], transposed: bool) -> list[float]:
    """Multiply the matrix, or its transpose, by v."""
    n = range(len(v))
    if transposed:
        return [sum(entry(j, i) * v[j] for j in n) for i in n]
    return [sum(entry(i, j) * v[j] for j in n) for i in n]


u = [1.0] * 45
for _ in range(6):
    v = times(times(u, False), True)
    u = times(times(v, False), True)
print(f"{(sum(a * b for a, b in zip(u, v)) / sum(b * b for b in v)) ** 0.5:.9f}")
