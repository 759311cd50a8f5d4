"""Five bodies under gravity: floats and attribute-free lists."""


def advance(bodies: list[list[float]], steps: int, dt: float = 0.01) -> None:
    """Move the bodies by `steps` steps of leapfrog integration."""
    pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1 :]]
    for _ in range(steps):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            pull = dt / (dx * dx + dy * dy + dz * dz) ** 1.5
            am, bm = a[6] * pull, b[6] * pull
            a[3] -= dx * bm
            a[4] -= dy * bm
            a[5] -= dz * bm
            b[3] += dx * am
            b[4] += dy * am
            b[5] += dz * am
        for body in bodies:
            body[0] += dt * body[3]
            body[1] += dt * body[4]
            body[2] += dt * body[5]


system = [
    [i * 1.5, i * 0.3, -i * 0.2, 0.1 * i, 0.4 - 0.1 * i, 0.02, 1.0 / (i + 1)] for i in range(5)
]
advance(system, 3_000)
print(f"{sum(map(sum, system)):.9f}")
