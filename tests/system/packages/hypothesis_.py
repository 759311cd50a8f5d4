"""Properties that hold, and the smallest example of one that does not."""

from hypothesis import find, given, settings
from hypothesis import strategies as st


@settings(max_examples=50, database=None, deadline=None)
@given(st.lists(st.integers()))
def test_reversing_twice(items: list[int]) -> None:
    """Reversing twice changes nothing."""
    assert list(reversed(list(reversed(items)))) == items


test_reversing_twice()
print(find(st.integers(), lambda n: n > 10, settings=settings(database=None)))
print(
    find(st.lists(st.integers()), lambda items: sum(items) >= 10, settings=settings(database=None))
)
