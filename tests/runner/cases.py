"""Programs and what must come of them: one table for the runner alone and for the whole product.

``test_cases.py`` runs it in the guest, ``test_native_cases.py`` under a native Python. Tracebacks
are those of CPython 3.14.
"""

from dataclasses import replace

from case import ANY, Case, error, leaves, value
from foreign_cases import FOREIGN

BASICS = [
    Case("empty", ""),
    Case("print", "print(1)", stdout="1\n"),
    Case("name", "print(__name__, __file__)", stdout="__main__ main.py\n"),
    Case(
        "globals of a script",
        "print([n for n in globals() if n != 'n'])",
        stdout="['__name__', '__doc__', '__package__', '__loader__', '__spec__', "
        "'__builtins__', '__file__', '__cached__']\n",
    ),
    Case("docstring", '"""words"""\nprint(__doc__)', stdout="words\n"),
    Case("main module", "import __main__\nx = 3\nprint(__main__.x)", stdout="3\n"),
    Case(
        "pickle of a class of main",
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)",
        stdout="A\n",
    ),
    Case(
        "input sees the end",
        "try: input()\nexcept EOFError as e: print(e)",
        stdout="EOF when reading a line\n",
    ),
    Case(
        "arguments",
        "import sys; print(sys.argv)",
        arguments=("main.py", "a", "é b"),
        stdout="['main.py', 'a', 'é b']\n",
    ),
    Case("no arguments", "import sys; print(sys.argv)", stdout="['main.py']\n"),
    Case(
        "environment",
        "import os, time; print(os.environ['K'], os.getenv('E'), time.tzname[0])",
        environment=("K=v=w", "E=", "TZ=ABC-3"),
        stdout="v=w  ABC\n",
    ),
    Case(
        "variables",
        "print(x, y['a'], globals()['not an identifier'])",
        globals={"x": 4, "y": {"a": [1, None]}, "not an identifier": "z"},
        stdout="4 [1, None] z\n",
    ),
    Case(
        "module in the working folder",
        "open('m.py', 'w').write('x = 7')\nimport m\nprint(m.x)",
        stdout="7\n",
    ),
    Case("utf-8 with a mark", b"\xef\xbb\xbfprint('\xc3\xa9')", stdout="é\n"),
    Case("cookie", b"# coding: latin-1\nprint('\xe9')", stdout="é\n"),
    Case("crlf", b"x = 1\r\nprint(x)\r\n", stdout="1\n"),
    Case(
        "future annotations",
        "from __future__ import annotations\ndef f(x: no): pass\nprint(f.__annotations__)",
        stdout="{'x': 'no'}\n",
    ),
    Case("large program", "x = 0\n" + "x += 1\n" * 50000 + "print(x)", stdout="50000\n"),
]

STREAMS = [
    Case(
        "both streams",
        "import sys\nprint('a')\nprint('b', file=sys.stderr)",
        stdout="a\n",
        stderr="b\n",
    ),
    Case("a partial line at the end", "print('x', end='')", stdout="x"),
    Case(
        "bytes",
        "import sys; sys.stdout.buffer.write(b'\\xff'); sys.stdout.write('\\udcfe')",
        stdout="\udcff\udcfe",
    ),
    Case("stderr takes anything", "import sys; sys.stderr.write('\\ud800\\n')", stderr="\\ud800\n"),
    Case("closed", "import sys; print('a', end=''); sys.stdout.close()", stdout="a"),
    Case("none", "import sys; print('a', end=''); sys.stdout = sys.stderr = None", stdout="a"),
    Case(
        "detached", "import sys; print('a'); b = sys.stdout.detach(); b.write(b'c')", stdout="a\nc"
    ),
    Case(
        "replaced by one that buffers",
        "import sys, io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')\n"
        "print('é', end='')",
        stdout="é",
    ),
    Case(
        "hostile",
        "import sys\nclass S:\n  def __getattr__(s, n): 1/0\nprint('x')\n"
        "sys.stdout = sys.stderr = S()",
        stdout="x\n",
    ),
    Case(
        "200,000 lines",
        "for i in range(200000): print(i)",
        stdout="".join(f"{i}\n" for i in range(200000)),
    ),
    Case(
        "a warning",
        "import warnings\nwarnings.warn('w')",
        stderr="main.py:2: UserWarning: w\n  warnings.warn('w')\n",
    ),
    Case(
        "a warning of the compiler",
        "x = 1\nassert (x, 'always')\n",
        stderr="main.py:2: SyntaxWarning: assertion is always true, perhaps remove parentheses?\n"
        "  assert (x, 'always')\n",
    ),
    Case(
        "an error that cannot be raised",
        "class A:\n  def __del__(s): 1/0\na = A()\ndel a\nprint('on')",
        stdout="on\n",
        stderr=ANY,
        stderr_has=(
            '  File "main.py", line 2, in __del__\n',
            "ZeroDivisionError: division by zero",
        ),
    ),
]

_HEADER = "Traceback (most recent call last):\n"

ERRORS = [
    error(
        "undefined variable",
        "foobar",
        "NameError",
        "name 'foobar' is not defined",
        f'{_HEADER}  File "main.py", line 1, in <module>\n    foobar\n'
        "NameError: name 'foobar' is not defined\n",
        1,
    ),
    error(
        "the same with a value wanted",
        "foobar",
        "NameError",
        ANY,
        f'{_HEADER}  File "main.py", line 1, in <module>\n    foobar\n'
        "NameError: name 'foobar' is not defined\n",
        1,
        want_value=True,
    ),
    error(
        "carets and nested calls",
        "def foo():\n    1 / 0\n\ndef bar(a, b):\n    foo()\n\nbar(1,\n    2)",
        "ZeroDivisionError",
        "division by zero",
        f'{_HEADER}  File "main.py", line 7, in <module>\n    bar(1,\n    ~~~^^^\n        2)\n'
        '        ^^\n  File "main.py", line 5, in bar\n    foo()\n    ~~~^^\n'
        '  File "main.py", line 2, in foo\n    1 / 0\n    ~~^~~\n'
        "ZeroDivisionError: division by zero\n",
        2,
    ),
    error(
        "another file name",
        "print('before')\n1/0",
        "ZeroDivisionError",
        ANY,
        f'{_HEADER}  File "/tmp/a b.py", line 2, in <module>\n    1/0\n    ~^~\n'
        "ZeroDivisionError: division by zero\n",
        2,
        filename="/tmp/a b.py",
        stdout="before\n",
    ),
    error(
        "a chain",
        "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('v') from e",
        "ValueError",
        "v",
        f'{_HEADER}  File "main.py", line 2, in <module>\n    1/0\n    ~^~\n'
        "ZeroDivisionError: division by zero\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        f"{_HEADER}  File \"main.py\", line 4, in <module>\n    raise ValueError('v') from e\n"
        "ValueError: v\n",
        4,
    ),
    error(
        "a group with a note",
        "e = ValueError(1)\ne.add_note('n')\nraise ExceptionGroup('g', [e, TypeError(2)])",
        "ExceptionGroup",
        "g (2 sub-exceptions)",
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "main.py", line 3, in <module>\n'
        "  |     raise ExceptionGroup('g', [e, TypeError(2)])\n"
        "  | ExceptionGroup: g (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n    | ValueError: 1\n    | n\n"
        "    +---------------- 2 ----------------\n    | TypeError: 2\n"
        "    +------------------------------------\n",
        3,
    ),
    error(
        "did you mean",
        "value = 1\nprint(valeu)",
        "NameError",
        "name 'valeu' is not defined",
        f'{_HEADER}  File "main.py", line 2, in <module>\n    print(valeu)\n          ^^^^^\n'
        "NameError: name 'valeu' is not defined. Did you mean: 'value'?\n",
        2,
    ),
    error(
        "a class of the program's",
        "class Mine(Exception): pass\nraise Mine('é')",
        "Mine",
        "é",
        ANY,
        2,
        traceback_has=("Mine: é\n",),
    ),
    error(
        "a class of a module's",
        "import json\njson.loads('{')",
        "json.decoder.JSONDecodeError",
        ANY,
        ANY,
        2,
        traceback_has=("json.decoder.JSONDecodeError: Expecting property name",),
    ),
    error(
        "an error below exec",
        "x = 1\nexec('y = 2\\n1/0')",
        "ZeroDivisionError",
        ANY,
        f"{_HEADER}  File \"main.py\", line 2, in <module>\n    exec('y = 2\\n1/0')\n"
        "    ~~~~^^^^^^^^^^^^^^\n"
        '  File "<string>", line 2, in <module>\nZeroDivisionError: division by zero\n',
        2,
    ),
    error(
        "recursion",
        "def f(): f()\nf()",
        "RecursionError",
        "maximum recursion depth exceeded",
        ANY,
        1,
        traceback_has=("more times]\nRecursionError: maximum recursion depth exceeded\n",),
    ),
    error(
        "memory",
        "import sys\nx = bytes(sys.maxsize - 100)",
        "MemoryError",
        "",
        ANY,
        2,
    ),
    error(
        "interrupt",
        "import signal\nsignal.raise_signal(signal.SIGINT)\nprint('no')",
        "KeyboardInterrupt",
        "",
        ANY,
        2,
        exit_code=130,
        traceback_has=("\nKeyboardInterrupt\n",),
    ),
    error(
        "a broken __str__",
        "class E(Exception):\n  def __str__(s): 1/0\nraise E",
        "E",
        "<exception str() failed>",
        ANY,
        3,
        traceback_has=("<exception str() failed>",),
    ),
    error(
        "a surrogate in the message",
        "raise ValueError('a\\udc80b')",
        "ValueError",
        "a\\udc80b",
        ANY,
        1,
        traceback_has=("ValueError: a\\udc80b\n",),
    ),
    error(
        "the program's own hook",
        "import sys\n"
        "sys.excepthook = lambda t, e, tb: print('hook', t.__name__, tb.tb_lineno)\n1/0",
        "ZeroDivisionError",
        ANY,
        ANY,
        3,
        stdout="hook ZeroDivisionError 3\n",
    ),
    error(
        "a hook that fails",
        "import sys\ndef h(*a): {}['k']\nsys.excepthook = h\nfoo",
        "NameError",
        ANY,
        ANY,
        4,
        stderr="Error in sys.excepthook:\n"
        f"{_HEADER}  File \"main.py\", line 2, in h\n    def h(*a): {{}}['k']\n"
        "               ~~^^^^^\nKeyError: 'k'\n\nOriginal exception was:\n"
        f'{_HEADER}  File "main.py", line 4, in <module>\n    foo\n'
        "NameError: name 'foo' is not defined\n",
    ),
]

SYNTAX = [
    error(
        "syntax",
        "x = 1\nx = = 1",
        "SyntaxError",
        "invalid syntax (main.py, line 2)",
        '  File "main.py", line 2\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n',
        2,
    ),
    error(
        "an error of the later stages",
        "x = 1\nreturn x",
        "SyntaxError",
        "'return' outside function (main.py, line 2)",
        '  File "main.py", line 2\n    return x\n    ^^^^^^^^\n'
        "SyntaxError: 'return' outside function\n",
        2,
    ),
    error(
        "indentation",
        "def f():\nx",
        "IndentationError",
        ANY,
        '  File "main.py", line 2\n    x\n    ^\n'
        "IndentationError: expected an indented block after function definition on line 1\n",
        2,
    ),
    error(
        "null byte",
        b"x = 1\nabc\0def",
        "SyntaxError",
        ANY,
        '  File "main.py", line 2\n    abc\nSyntaxError: source code cannot contain null bytes\n',
        2,
    ),
    error(
        "not utf-8",
        b"x = 1\n\n  # caf\xe9\n",
        "SyntaxError",
        ANY,
        '  File "main.py", line 3\n    # caf\N{REPLACEMENT CHARACTER}\n         ^\n'
        "SyntaxError: Non-UTF-8 code starting with '\\xe9' in file main.py on line 3, but no "
        "encoding declared; see https://peps.python.org/pep-0263/ for details\n",
        3,
        python=(3, 14),
    ),
    error(
        "encoding that is not for text",
        "# coding: rot13\ncevag(1)",
        "SyntaxError",
        ANY,
        "SyntaxError: encoding problem: rot13\n",
        0,
    ),
    error(
        "unknown encoding",
        "# coding: nope\nx = 1",
        "SyntaxError",
        ANY,
        "SyntaxError: encoding problem: nope\n",
        0,
    ),
    error("too deep", "(" * 300 + ")" * 300, "SyntaxError", ANY, ANY, 1),
]

LEAVING = [
    Case("exit", "import sys\nprint('a')\nsys.exit()", stdout="a\n", error_type="SystemExit"),
    Case("exit 0", "import sys; sys.exit(0)", error_type="SystemExit"),
    leaves("exit 3", "import sys; sys.exit(3)", 3, "3"),
    leaves("exit -1", "import sys; sys.exit(-1)", 255, "-1"),
    leaves("exit True", "import sys; sys.exit(True)", 1, "1"),
    leaves("exit 2**40", "import sys; sys.exit(2**40)", 255, str(2**40)),
    leaves("exit with words", "import sys; sys.exit('no good')", 1, "no good", stderr="no good\n"),
    leaves("raise SystemExit", "raise SystemExit(4)", 4, "4"),
    leaves(
        "exit in a task", "import asyncio\nasync def f(): raise SystemExit(5)\nawait f()", 5, "5"
    ),
    Case("atexit", "import atexit\natexit.register(print, 'bye')\nprint('a')", stdout="a\nbye\n"),
    error(
        "atexit after an error",
        "import atexit\natexit.register(print, 'bye')\n1/0",
        "ZeroDivisionError",
        ANY,
        ANY,
        3,
        stdout="bye\n",
    ),
    Case(
        "finalizers",
        "class A:\n  def __del__(s): print('del', x)\na = A()\na.a = a\nb = A()\nx = 5",
        stdout="del 5\ndel 5\n",
    ),
    error(
        "finalizers after an error",
        "class A:\n  def __del__(s): print('del', x)\na = A()\nx = 5\na.nothing",
        "AttributeError",
        ANY,
        ANY,
        5,
        stdout="del 5\n",
    ),
    value(
        "finalizers after a value",
        "class A:\n  def __del__(s): print('del')\n  def __repr__(s): return 'A()'\nA()",
        "A()",
        "repr",
        stdout="del\n",
    ),
]

ASYNC = [
    value("await", "import asyncio\nawait asyncio.sleep(0.01, 5)", 5),
    value(
        "await without a value",
        "import asyncio\nx = await asyncio.sleep(0, 5)\nprint(x)",
        None,
        stdout="5\n",
    ),
    value(
        "async for in a comprehension",
        "async def g():\n  yield 1\n  yield 2\n[x async for x in g()]",
        [1, 2],
    ),
    value(
        "gather, timeout, group, queue",
        "import asyncio\n"
        "async def f(n):\n  await asyncio.sleep(0.01)\n  return n\n"
        "q = asyncio.Queue()\n"
        "asyncio.get_running_loop().call_later(0.01, q.put_nowait, 9)\n"
        "async with asyncio.TaskGroup() as group:\n  t = group.create_task(f(3))\n"
        "try:\n  async with asyncio.timeout(0.02):\n    await asyncio.Future()\n"
        "except TimeoutError as e:\n  late = repr(e)\n"
        "[await asyncio.gather(f(1), f(2)), t.result(), await q.get(), late]",
        [[1, 2], 3, 9, "TimeoutError()"],
    ),
    value("to_thread", "import asyncio\nawait asyncio.to_thread(lambda a, b: a + b, 1, b=2)", 3),
    value(
        "an executor of threads",
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor as T\n"
        "await asyncio.get_running_loop().run_in_executor(T(), int, '4')",
        4,
    ),
    Case(
        "asyncio.run",
        "import asyncio\nasync def f(): await asyncio.sleep(0.01); return 3\n"
        "print(asyncio.run(f()))\n"
        "with asyncio.Runner() as r: print(r.run(f()))",
        stdout="3\n3\n",
    ),
    error(
        "asyncio.run below await",
        "import asyncio\nasync def f(): pass\nawait f()\nc = f()\ntry:\n"
        "  asyncio.run(c)\nfinally:\n  c.close()",
        "RuntimeError",
        "asyncio.run() cannot be called from a running event loop",
        ANY,
        6,
    ),
    error(
        "an error after await",
        "import asyncio\nasync def f(n):\n    await asyncio.sleep(0.01)\n"
        "    return n / 0\nawait f(2)",
        "ZeroDivisionError",
        ANY,
        f'{_HEADER}  File "main.py", line 5, in <module>\n    await f(2)\n'
        '  File "main.py", line 4, in f\n    return n / 0\n           ~~^~~\n'
        "ZeroDivisionError: division by zero\n",
        4,
    ),
    Case(
        "tasks that are left are cancelled",
        "import asyncio\nasync def f():\n  try: await asyncio.sleep(100)\n"
        "  except asyncio.CancelledError: print('cancelled'); raise\n"
        "t = asyncio.create_task(f())\nawait asyncio.sleep(0)",
        stdout="cancelled\n",
    ),
    error(
        "an interrupt wakes the loop",
        "import asyncio, os, signal, sys\n"
        "asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGINT)\n"
        "try:\n  await asyncio.sleep(100)\nfinally:\n  print('cleaned')",
        "KeyboardInterrupt",
        "",
        ANY,
        ANY,
        exit_code=130,
        stdout="cleaned\n",
    ),
    Case(
        "a signal handler wakes the loop",
        "import asyncio, signal\ne = asyncio.Event()\n"
        "asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, e.set)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\nawait e.wait()\nprint('woken')",
        stdout="woken\n",
        native_only=True,
    ),
    Case(
        "call_soon_threadsafe",
        "import asyncio\nl = asyncio.get_running_loop()\n"
        "l.call_soon_threadsafe(print, 'a')\nawait asyncio.sleep(0)",
        stdout="a\n",
    ),
    Case(
        "the loop's own name",
        "import asyncio\n"
        "print(type(asyncio.new_event_loop()) is asyncio.SelectorEventLoop is "
        "asyncio.EventLoop)",
        stdout="True\n",
    ),
    error(
        "await in a function that is none",
        "def f():\n    await 1",
        "SyntaxError",
        ANY,
        '  File "main.py", line 2\n    await 1\n    ^^^^^^^\n'
        "SyntaxError: 'await' outside async function\n",
        2,
    ),
]

_DATES = "import datetime as d\n"

VALUES = [
    value("of mcp-run-python's first test", "x = 4\nprint(f'{x=}')\nx", 4, stdout="x=4\n"),
    value("the value None", "None", None),
    value("a lone expression runs once", "print('x')", None, stdout="x\n"),
    value(
        "the same with await",
        "import asyncio\nawait asyncio.to_thread(print, 'x')",
        None,
        stdout="x\n",
    ),
    value("a statement last", "x = 4", None),
    value("a semicolon", "4;", None),
    value("a semicolon and a comment", "4 ; # words", None),
    value("a semicolon in a comment", "4 # ;", 4),
    value("a semicolon after lines of a text", '"""a\n;é""" \\\n ;', None),
    value("a docstring alone", '"""words"""', "words"),
    value("a comment after", "5\n# done\n\n", 5),
    value("over lines", "(1,\n 2)\n", [1, 2]),
    Case("not wanted", "4"),
    value("of a variable", "x + 1", 5, globals={"x": 4}),
    value(
        "plain",
        "[1, 1.5, True, None, 'é\\x00\"', {}, [], ()]",
        [1, 1.5, True, None, 'é\x00"', {}, [], []],
    ),
    value("not a number", "[float('nan'), float('inf'), 1.0]", [None, None, 1.0]),
    value("numbers of 64 bits", "[2**63 - 1, -2**63]", [2**63 - 1, -(2**63)]),
    value("larger numbers", "[2**63, 1]", ["9223372036854775808", 1], "repr"),
    value("a number too long for decimal", "10**5000", hex(10**5000), "repr"),
    value("sets", "[{1}, frozenset([2])]", [[1], [2]]),
    value(
        "other sequences",
        "import collections\n[collections.deque([1]), (i for i in 'ab'), map(int, '12')]",
        [[1], ["a", "b"], [1, 2]],
    ),
    value(
        "keys",
        "{1: 1, None: 2, 1.5: 3, (1, 'a'): 4, b'k': 5}",
        {"1": 1, "None": 2, "1.5": 3, "1,a": 4, "k": 5},
    ),
    value("keys of truth", "{True: 1, False: 2}", {"true": 1, "false": 2}),
    value("keys that become equal", "{1: 'a', '1': 'b'}", {"1": "b"}),
    value("keys with surrogates", "{'\\ud800': 1, '\\ud801': 2}", {"\ufffd": 2}),
    value("surrogates", "['a\\ud800', '\\ud83d\\ude00']", ["a\ufffd", "\U0001f600"]),
    value(
        "mappings",
        "import collections\n"
        "[collections.Counter('aab'), collections.OrderedDict(a=1), "
        "collections.defaultdict(int, b=2)]",
        [{"a": 2, "b": 1}, {"a": 1}, {"b": 2}],
    ),
    value(
        "a dataclass",
        "import dataclasses, typing\n@dataclasses.dataclass\nclass A:\n  a: int = 1\n"
        "  b: list = None\n  c: typing.ClassVar[int] = 3\nA(b=[A()])",
        {"a": 1, "b": [{"a": 1, "b": None}]},
    ),
    value("a named tuple", "import collections\ncollections.namedtuple('P', 'x y')(1, 2)", [1, 2]),
    value(
        "enumerations",
        "import enum\nclass E(enum.Enum): A = 'a'\nclass I(enum.IntEnum): B = 2\n"
        "[E.A, I.B, {E.A: 1}]",
        ["a", 2, {"a": 1}],
    ),
    value(
        "dates",
        _DATES + "[d.datetime(2025, 3, 18), d.datetime(2025, 3, 18, 1, 2, 3, 456000, "
        "d.timezone(d.timedelta(hours=2))), d.datetime(2025, 3, 18, tzinfo=d.UTC), "
        "d.date(2025, 3, 18), d.time(1, 2, 3)]",
        [
            "2025-03-18T00:00:00",
            "2025-03-18T01:02:03.456000+02:00",
            "2025-03-18T00:00:00Z",
            "2025-03-18",
            "01:02:03",
        ],
    ),
    value(
        "durations",
        _DATES + "[d.timedelta(1, 7203, 500000), d.timedelta(-1), d.timedelta(0), d.timedelta(400, "
        "0, 1), d.timedelta(-1, 5)]",
        ["P1DT2H3.5S", "-P1D", "PT0S", "P1Y35DT0.000001S", "-PT23H59M55S"],
    ),
    value(
        "others with a text",
        "import decimal, uuid, pathlib, ipaddress, re\n"
        "[decimal.Decimal('1.50'), uuid.UUID(int=1), pathlib.Path('/a'), 1+2j, "
        "ipaddress.ip_address('1.2.3.4'), re.compile('a')]",
        ["1.50", "00000000-0000-0000-0000-000000000001", "/a", "1+2j", "1.2.3.4", "a"],
    ),
    value("bytes that are text", "[b'abc', bytearray(b'd')]", ["abc", "d"]),
    value("bytes that are no text", "b'\\xff'", "b'\\xff'", "repr"),
    value(
        "repr",
        "[int, len, range(3), ValueError('x')]",
        ["<class 'int'>", "<built-in function len>", "range(0, 3)", "ValueError('x')"],
        "repr",
    ),
    value(
        "a repr that fails",
        "class A:\n  def __repr__(s): 1/0\n[A(), 1]",
        ["<unprintable A object>", 1],
        "repr",
    ),
    value(
        "a repr of a gigabyte",
        "class A:\n  def __repr__(s): return 'x' * 2**30\nA()",
        ANY,
        ANY,
    ),
    value("a cyclic list", "a = [1]\na.append(a)\na", [1, "[...]"], "truncated"),
    value("a cyclic dict", "a = {}\na['a'] = {'b': a}\na", {"a": {"b": "{...}"}}, "truncated"),
    value("the same twice is no cycle", "a = [1]\n[a, a]", [[1], [1]]),
    value("very deep", "a = []\nfor i in range(100000): a = [a]\na", ANY, "truncated"),
    value("endless", "import itertools\nitertools.count()", ANY, "truncated"),
    value("too large", "list(range(10**6))", ANY, "truncated", result_bytes=1000),
    value("a text too large", "'é' * 10**6", ANY, "truncated", result_bytes=1000),
    value(
        "a dict too large",
        "{str(i): [i] for i in range(10**5)}",
        ANY,
        "truncated",
        result_bytes=1000,
    ),
    value("room for nothing", "'abcdefghijkl'", None, "truncated", result_bytes=8),
    value("a large list", "list(range(100000))", list(range(100000))),
    value(
        "rows",
        "[{'a': i, 'b': 'x' * i} for i in range(100)]",
        [{"a": i, "b": "x" * i} for i in range(100)],
    ),
    value(
        "hostile classes",
        "class M(type):\n  def __getattribute__(c, n): raise RuntimeError(n)\n"
        "class A(metaclass=M):\n  def __repr__(s): return 'fine'\nA()",
        "fine",
        "repr",
    ),
    value(
        "a formula without a text",
        "class A:\n  def _repr_latex_(self): return '$x$'\nA()",
        "$x$",
        "repr",
    ),
    value(
        "markup beside a text",
        "class A:\n  def _repr_html_(self): return '<b>'\n  def __repr__(self): return 'a'\nA()",
        "a",
        "repr",
    ),
    value(
        "forms that fail",
        "class A:\n  def _repr_png_(self): 1/0\n  def __repr__(self): return 'a'\nA()",
        "a",
        "repr",
    ),
    value("a limit of recursion", "import sys\nsys.setrecursionlimit(60)\n[[[[1]]]]", [[[[1]]]]),
    error(
        "an interrupt while encoding",
        "class A:\n  def __repr__(s): raise KeyboardInterrupt\nA()",
        "KeyboardInterrupt",
        "",
        ANY,
        2,
        want_value=True,
        exit_code=130,
    ),
]

HOSTILE = [
    Case(
        "builtins replaced",
        "import builtins\np, s, b = print, setattr, builtins\n"
        "for n in dir(builtins):\n  if n[:2] != '__': s(b, n, None)\np('x')",
        stdout="x\n",
        stderr=ANY,
    ),
    error(
        "builtins replaced, then an error",
        "import builtins\n"
        "for n in ('len', 'isinstance', 'str', 'open', '__import__'): setattr(builtins, n, "
        "None)\n"
        "1/0",
        "ZeroDivisionError",
        ANY,
        ANY,
        3,
        traceback_has=(
            '  File "main.py", line 3, in <module>\n    1/0\n    ~^~\n'
            "ZeroDivisionError: division by zero\n",
        ),
    ),
    error(
        "modules gone",
        "import sys\nsys.modules.clear()\nsys.path[:] = []\nsys.meta_path[:] = []\n1/0",
        "ZeroDivisionError",
        ANY,
        ANY,
        5,
        traceback_has=("ZeroDivisionError: division by zero\n", "    1/0\n"),
    ),
    error(
        "traceback replaced",
        "import sys\nsys.modules['traceback'] = sys\n1/0",
        "ZeroDivisionError",
        ANY,
        ANY,
        3,
        traceback_has=("ZeroDivisionError: division by zero\n", "    1/0\n"),
    ),
    value(
        "modules replaced, a value",
        "import sys, json, _json\njson.dumps = _json.encode_basestring = None\n"
        "sys.modules['json'] = None\n['x']",
        ["x"],
    ),
    Case(
        "os emptied",
        "import os, posix\nfor n in list(vars(os)): os.__dict__[n] = None\n"
        "for n in list(vars(posix)): posix.__dict__[n] = None\nprint('x')",
        stdout="x\n",
    ),
    Case(
        "a tracer",
        "import sys\ndef t(*a): raise RuntimeError\nsys.settrace(t)",
        stdout="",
    ),
    Case(
        "a profiler that stays",
        "import sys\nsys.setprofile(lambda *a: None)\nprint('x')",
        stdout="x\n",
    ),
    error(
        "a chain that is a circle",
        "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a",
        "ValueError",
        "a",
        ANY,
        3,
        traceback_has=("ValueError: b\n", "ValueError: a\n"),
    ),
    error(
        "a chain of 100,000",
        "e = None\nfor i in range(100000):\n  n = ValueError(i)\n  n.__context__ = e\n"
        "  e = n\nraise e",
        "ValueError",
        "99999",
        ANY,
        6,
        traceback_has=("ValueError: 99999\n",),
    ),
    error(
        "a message of 10 MB",
        "raise ValueError('x' * 10**7 + 'end')",
        "ValueError",
        ANY,
        ANY,
        1,
        traceback_has=("end\n", "left out"),
    ),
    error(
        "100,000 frames",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n):\n  if n == 0: 1/0\n"
        "  f(n-1)\nf(100000)",
        "ZeroDivisionError",
        ANY,
        ANY,
        4,
        traceback_has=("    if n == 0: 1/0\n",),
    ),
    error(
        "a recursion limit that is too low",
        "import sys\nsys.setrecursionlimit(30)\ndef f(): f()\nf()",
        "RecursionError",
        ANY,
        ANY,
        3,
        traceback_has=("RecursionError: ",),
    ),
    error(
        "a metaclass that hides the name",
        "class M(type):\n  def __getattribute__(c, n): raise RuntimeError(n)\n"
        "class E(Exception, metaclass=M): pass\nraise E('x')",
        "Exception",
        ANY,
        ANY,
        4,
    ),
    Case("excepthook gone", "import sys\ndel sys.excepthook"),
    Case(
        "atexit that fails",
        "import atexit\n@atexit.register\ndef f(): 1/0\nprint('x')",
        stdout="x\n",
        stderr=ANY,
        stderr_has=("ZeroDivisionError",),
    ),
    Case(
        "atexit that leaves",
        "import atexit, sys\natexit.register(sys.exit, 3)\nprint('x')",
        stdout="x\n",
        stderr=ANY,
    ),
    Case("main removed", "import sys\ndel sys.modules['__main__']\nprint('x')", stdout="x\n"),
]

# What a program sees of the guest's system.
SYSTEM = [
    Case("no frame below", "import sys\nprint(sys._getframe().f_back)", stdout="None\n"),
    value(
        "uname and platform",
        "import os, sys\n[type(os.uname()).__name__, len(os.uname()), sys.platform, os.name]",
        ["uname_result", 5, "emscripten", "posix"],
    ),
    Case(
        "devices",
        "with open('/dev/null', 'r+b', 0) as f: print(f.write(b'abc'), f.read(1))\n"
        "with open('/dev/zero', 'rb', 0) as f: print(f.read(3))\n"
        "with open('/dev/urandom', 'rb', 0) as f: print(len(set(f.read(1000))) > 100)",
        stdout="3 b''\nb'\\x00\\x00\\x00'\nTrue\n",
    ),
    Case(
        "the zone of the environment",
        "import time\nprint(time.tzname, time.timezone, time.localtime(0).tm_hour)",
        environment=("TZ=CET-1CEST,M3.5.0,M10.5.0/3",),
        stdout="('CET', 'CEST') -3600 1\n",
    ),
    Case(
        "a zone of the program's",
        "import os, time\nos.environ['TZ'] = 'EST5EDT,M3.2.0,M11.1.0'\ntime.tzset()\n"
        "print(time.tzname, time.timezone, time.altzone, time.localtime(0).tm_hour)",
        stdout="('EST', 'EDT') 18000 14400 19\n",
    ),
    value(
        "sleep takes its time",
        "import time\nt = time.monotonic()\ntime.sleep(0.2)\n0.2 <= time.monotonic() - t < 5",
        True,
    ),
]
SYSTEM = [replace(case, guest_only=True) for case in SYSTEM]

CASES = [
    *BASICS,
    *STREAMS,
    *ERRORS,
    *SYNTAX,
    *LEAVING,
    *ASYNC,
    *VALUES,
    *HOSTILE,
    *SYSTEM,
    *FOREIGN,
]
