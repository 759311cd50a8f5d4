"""How many days lie between two dates: the first thing that `make run` computes."""

from datetime import date

print((date(2025, 3, 18) - date(2000, 1, 1)).days)
