"""Shortest ways through a grid: a heap, tuples, closures, generators."""

import heapq
from collections.abc import Iterator

SIDE = 60


def cost(x: int, y: int) -> int:
    """What it costs to step on a field."""
    return (x * 7919 + y * 104729) % 13 + 1


def neighbours(x: int, y: int) -> Iterator[tuple[int, int]]:
    """The fields beside a field."""
    for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        if 0 <= x + dx < SIDE and 0 <= y + dy < SIDE:
            yield x + dx, y + dy


best = {(0, 0): 0}
queue = [(0, (0, 0))]
while queue:
    length, at = heapq.heappop(queue)
    if length > best[at]:
        continue
    for step in neighbours(*at):
        total = length + cost(*step)
        if total < best.get(step, 1 << 30):
            best[step] = total
            heapq.heappush(queue, (total, step))
print(best[SIDE - 1, SIDE - 1], sum(best.values()))
