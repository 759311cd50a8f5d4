"""Sessions in the guest: what one program leaves to the next, and what it does not."""

import time
from collections.abc import Iterator

import pytest
from cases import Case, value
from cell import LEFT, LIMIT_MEMORY, LIMIT_OUTPUT, RETURNED, TRAPPED, Cell, Run, Zygote


class Session:
    """A session's cell, and its calls."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.is_over = False

    def __call__(self, code: str, **options: object) -> Run:
        came = self.cell.run(Case("", code, want_value=True, **options))
        assert came.reason == RETURNED, came
        return came

    def ends(self, code: str, **options: object) -> Run:
        """Run a program that ends the cell."""
        self.cell.send(Case("", code, **options))
        self.is_over = True
        return self.cell.finish()

    def interrupted(self, code: str) -> Run:
        """Run a program that prints "on" and goes on for ever, and interrupt it."""
        self.cell.send(Case("", code, want_value=True))
        self.cell.wait_for(b"on\n")
        time.sleep(0.1)
        self.cell.interrupt()
        came = self.cell.read_end(20)
        self.cell.zygote.wait_interrupted(self.cell.number)
        assert came.reason == RETURNED, came
        return came


@pytest.fixture
def session(zygote: Zygote) -> Iterator[Session]:
    """Give a session, and end it."""
    session = Session(zygote.fork(stays=True))
    yield session
    if not session.is_over:
        assert session.cell.close() == 0


def test_variables_imports_and_files_live_on(session: Session) -> None:
    assert session("import math\nx = [1, 2]\nf = open('a.txt', 'w+')\nf.write('one')").value == 3
    assert session("x.append(math.floor(3.5))\nx").value == [1, 2, 3]
    assert session("f.write(' two')\nf.seek(0)\nf.read()").value == "one two"
    assert session("import os\nf.close()\nos.listdir(), open('a.txt').read()").value == [
        ["a.txt"],
        "one two",
    ]
    assert session("import sys, __main__\n__main__.x is x, sys.modules['__main__'] is __main__")
    assert session("__name__").value == "__main__"


def test_each_call_has_its_own_result_and_output(session: Session) -> None:
    came = session("print('a')\nimport sys\nprint('b', file=sys.stderr)\n1")
    assert (came.stdout, came.stderr, came.value) == (b"a\n", b"b\n", 1)
    came = session("print('c')")
    assert (came.stdout, came.stderr, came.value) == (b"c\n", b"", None)
    came = session("1 / 0")
    assert (came.status, came.error_type) == ("run-error", "ZeroDivisionError")
    came = session("2 +")
    assert came.error_type == "SyntaxError"
    assert 'File "main-4.py", line 1' in came.traceback
    assert session("7").value == 7


def test_tracebacks_show_the_lines_of_earlier_calls(session: Session) -> None:
    session("def f(x):\n    return 1 / x\n\ndef g(x):\n    return f(x)")
    session("def h(x):\n    return g(x)  # second")
    came = session("h(0)")
    assert came.traceback == (
        "Traceback (most recent call last):\n"
        '  File "main-3.py", line 1, in <module>\n    h(0)\n    ~^^^\n'
        '  File "main-2.py", line 2, in h\n    return g(x)  # second\n'
        '  File "main.py", line 5, in g\n    return f(x)\n'
        '  File "main.py", line 2, in f\n    return 1 / x\n           ~~^~~\n'
        "ZeroDivisionError: division by zero\n"
    )
    assert came.line == 1
    assert session("import inspect\ninspect.getsource(g)").value == "def g(x):\n    return f(x)\n"
    session("import linecache\nlinecache.clearcache()")
    assert "return 1 / x" in session("h(0)").traceback
    came = session("import traceback\ntry:\n    h(0)\nexcept Exception:\n    traceback.print_exc()")
    assert b"    return 1 / x\n" in came.stderr


def test_names_of_programs_do_not_clash(session: Session) -> None:
    assert session("__file__", filename="a.py").value == "a.py"
    assert session("__file__", filename="b.py").value == "b.py"
    assert session("__file__", filename="a.py").value == "a-3.py"
    assert session("__file__", filename="noend").value == "noend"
    assert session("__file__", filename="noend").value == "noend-5"


def test_variables_of_a_request_are_set_each_time(session: Session) -> None:
    assert session("n", globals={"n": 1}).value == 1
    assert session("n").value == 1
    assert session("n", globals={"n": 2}).value == 2
    assert session("import os\nos.environ['A']", environment=("A=b",)).value == "b"


def test_an_interrupt_keeps_the_variables(session: Session) -> None:
    session("x = 'kept'")
    for code in (
        "print('on')\nwhile True: pass",
        "import time\nprint('on')\ntime.sleep(1000)",
        "import asyncio\nprint('on')\nawait asyncio.sleep(1000)",
        "print('on')\nimport re\nre.match('(a*)*b', 'a' * 50)",
    ):
        came = session.interrupted(code)
        assert (came.status, came.error_type) == ("run-error", "KeyboardInterrupt")
        assert session("x").value == "kept"


def test_an_interrupt_between_two_calls_is_nobodys(session: Session) -> None:
    session("x = 1")
    for _ in range(5):
        session.cell.interrupt()
        session.cell.zygote.wait_interrupted(session.cell.number)
        assert session("sum(range(100000))").value == 4999950000


def test_the_loop_lives_on(session: Session) -> None:
    session(
        "import asyncio\nseen = []\nasync def tick():\n    while True:\n        seen.append(1)\n"
        "        await asyncio.sleep(0.01)\ntask = asyncio.create_task(tick())\n"
        "queue = asyncio.Queue()\nawait asyncio.sleep(0.05)\nloop = asyncio.get_running_loop()"
    )
    before = session("len(seen)").value
    assert before > 1
    time.sleep(0.1)
    assert session("len(seen)").value == before  # between calls nothing goes on
    assert session("await asyncio.sleep(0.05)\nlen(seen)").value > before
    assert session("await queue.put(5)\nloop is asyncio.get_running_loop()").value is True
    assert session("await queue.get()").value == 5
    came = session("async def fail():\n    1 / 0\nawait fail()")
    assert came.error_type == "ZeroDivisionError"
    assert "asyncio" not in came.traceback
    session("asyncio.run(asyncio.sleep(0))")
    assert session("task.cancel()\nawait asyncio.sleep(0)\ntask.cancelled()").value is True
    session(
        "import contextvars\nvar = contextvars.ContextVar('var')\nvar.set(3)\n"
        "await asyncio.sleep(0)"
    )
    assert session("await asyncio.sleep(0)\nvar.get()").value == 3
    session("loop.close()")
    assert session("await asyncio.sleep(0, 4)").value == 4


def test_leaving_by_sys_exit_is_an_outcome(session: Session) -> None:
    session("import atexit\natexit.register(print, 'at exit')\nx = 1")
    came = session("import sys\nsys.exit(3)")
    assert (came.status, came.exit_code, came.error_type) == ("run-error", 3, "SystemExit")
    assert session("x").value == 1
    assert session("sys.exit()").status == "success"


def test_the_recursion_limit_is_kept(session: Session) -> None:
    assert session("import sys\nsys.getrecursionlimit()").value == 1000
    session("sys.setrecursionlimit(3000)\ndef f(n):\n    return n and f(n - 1)")
    assert session("sys.getrecursionlimit(), f(2500)").value == [3000, 0]
    assert session("f(5000)").error_type == "RecursionError"
    assert session("sys.getrecursionlimit()").value == 3000


def test_no_memory_is_no_end(session: Session) -> None:
    session("x = 'kept'")
    for _ in range(3):
        came = session("b = [bytearray(16 << 20) for _ in range(100)]")
        assert came.error_type == "MemoryError"
        assert came.limits & LIMIT_MEMORY
        assert session("x").value == "kept"
    assert session("len(bytearray(100 << 20))").value == 100 << 20


def test_too_much_output_is_no_end(session: Session) -> None:
    session("x = 'kept'")
    came = session("while True: print('y' * 100000)")
    assert len(came.stdout) == 16 << 20
    assert came.limits & LIMIT_OUTPUT
    came = session("print('z')\nx")
    assert (came.stdout, came.value, came.limits) == (b"z\n", "kept", 0)


def test_what_a_program_breaks_stays_broken_but_reports_work(session: Session) -> None:
    session("import builtins, sys\nsys.settrace(lambda *a: 1 / 0)")
    assert session("sys.gettrace()").value is None
    session("x = 1\nsys.stdout = None\nbuiltins.print = None")
    assert session("x").value == 1
    session("sys.modules.clear()")
    assert session("x").status in ("success", "run-error")  # its own affair, but it is told


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import os\nos._exit(3)", LEFT), ("import ctypes\nctypes.string_at(1 << 31, 1)", TRAPPED)],
    ids=["left", "trapped"],
)
def test_a_crash_is_the_end(code: str, reason: int, session: Session) -> None:
    session("x = 1")
    came = session.ends(code)
    assert came.reason == reason
    assert came.wait_status == 0


def test_a_need_is_found_before_anything_runs(session: Session) -> None:
    session("x = 1")
    came = session("x = 2\nimport surely_not_there", finds_needs=True, globals={"x": 5})
    assert came.status == "need"
    assert session("x").value == 1


def test_sessions_have_streams_of_their_own(zygote: Zygote) -> None:
    seen = set()
    for _ in range(4):
        cell = zygote.fork(stays=True)
        came = cell.run(value("", "import random, uuid\nrandom.random(), str(uuid.uuid4())", None))
        again = cell.run(value("", "random.random(), str(uuid.uuid4())", None))
        seen.update((*came.value, *again.value))
        assert cell.close() == 0
    assert len(seen) == 16


def test_a_copy_has_all_and_goes_its_own_way(session: Session) -> None:
    session(
        "import asyncio, random\nx = [1]\nf = open('a.txt', 'w+')\nf.write('one')\n"
        "f.flush()\nasync def tick():\n    while True:\n        x.append(2)\n"
        "        await asyncio.sleep(0.001)\ntask = asyncio.create_task(tick())\n"
        "await asyncio.sleep(0)\nrandom.seed(1)"
    )
    copy = Session(session.cell.split())
    second = Session(copy.cell.split())
    assert copy("x[0] = 'copy'\nf.write(' two')\nf.seek(0)\nf.read()").value == "one two"
    assert copy("await asyncio.sleep(0.02)\nlen(x) > 5, task.done()").value == [True, False]
    assert session("x[0], f.seek(0), f.read()").value == [1, 0, "one"]
    assert second("x[0], len(x) < 5").value == [1, True]
    session("import os, uuid")
    draws = "import os, uuid, random\nrandom.random(), os.urandom(8).hex(), str(uuid.uuid4())"
    drawn = [each(draws).value for each in (session, copy, second, session)]
    assert len({word for draw in drawn for word in draw}) == 12
    assert copy("random.seed(3)").status == "success"
    first = copy("random.random()").value  # drawn anew once, not with each call
    assert second("random.seed(3)\nrandom.random()").value == first
    for each in (copy, second):
        came = each.interrupted("print('on')\nwhile True: pass")
        assert came.error_type == "KeyboardInterrupt"
        assert each.cell.close() == 0
    assert session("x[0]").value == 1


def test_copies_of_copies_end_as_any(session: Session) -> None:
    session("x = 0")
    chain = [session]
    for number in range(1, 8):
        chain.append(Session(chain[-1].cell.split()))
        assert chain[-1](f"x += 1\nx, {number}").value == [number, number]
    chain[3].ends("import os\nos._exit(1)")
    for number in (7, 1, 5, 2, 6, 4):
        assert chain[number]("x").value == number
        assert chain[number].cell.close() == 0


def test_many_calls_leave_little(session: Session) -> None:
    count = "import gc\ngc.collect()\nlen(gc.get_objects())"
    for _ in range(5):
        before = session(count).value
    for number in range(200):
        came = session(f"def f{number % 3}(): return {number}\nf{number % 3}()")
        assert came.value == number
    assert session(count).value < before + 2 * 200 + 50  # each one's lines, for tracebacks
