"""All ways to put eight queens on a board: recursion and sets of integers as bits."""


def place(row: int, columns: int, left: int, right: int, size: int) -> int:
    """Count the solutions from `row` on."""
    if row == size:
        return 1
    found, free = 0, ~(columns | left | right) & ((1 << size) - 1)
    while free:
        bit = free & -free
        free ^= bit
        found += place(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1, size)
    return found


print(place(0, 0, 0, 0, 8))
