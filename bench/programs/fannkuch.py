"""Pancake flips over all permutations: list slicing and integer compares."""

from itertools import permutations


def flips(order: tuple[int, ...]) -> int:
    """Count the flips until the first element is 0."""
    deck, count = list(order), 0
    while first := deck[0]:
        deck[: first + 1] = deck[first::-1]
        count += 1
    return count


print(max(map(flips, permutations(range(7)))))
