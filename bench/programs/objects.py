"""A bank of accounts: classes, properties, method calls, exceptions."""


class Overdrawn(Exception):
    """There is not enough money."""


class Account:
    """Money with an owner."""

    def __init__(self, owner: str, balance: int) -> None:
        self.owner, self._balance, self.log = owner, balance, []

    @property
    def balance(self) -> int:
        """The money that is there."""
        return self._balance

    def pay(self, other: "Account", amount: int) -> None:
        """Move money, or raise."""
        if amount > self.balance:
            raise Overdrawn(self.owner)
        self._balance -= amount
        other._balance += amount
        self.log.append((other.owner, amount))


accounts = [Account(f"person {i}", 100 + i) for i in range(100)]
failed, state = 0, 1
for _ in range(30_000):
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    try:
        accounts[state % 100].pay(accounts[(state >> 8) % 100], state % 57)
    except Overdrawn:
        failed += 1
print(failed, sum(a.balance for a in accounts), max(len(a.log) for a in accounts))
