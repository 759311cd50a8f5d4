"""The part of the table that calls C functions by types known at run time."""

from case import Case

# ctypes: calls of C functions by types known at run time, and callbacks from them. ``LIBC`` is the
# program itself, in which the C library is.
_C = "import ctypes\nfrom ctypes import *\nLIBC = CDLL(None)\n"


def calls(name: str, code: str, stdout: object, **options: object) -> Case:
    """Make a case of a program with ctypes."""
    return Case(name, _C + code, stdout=stdout, guest_only=True, **options)


FOREIGN = [
    calls("a C function", "print(LIBC.strlen(b'hello'), LIBC.toupper(97))", "5 65\n"),
    calls(
        "functions of Python's own",
        "pythonapi.Py_GetVersion.restype = c_char_p\nprint(pythonapi.Py_GetVersion()[:4])\n"
        "pythonapi.PyLong_FromLongLong.restype = py_object\n"
        "pythonapi.PyLong_FromLongLong.argtypes = [c_longlong]\n"
        "print(pythonapi.PyLong_FromLongLong(-(1 << 62)))",
        "b'3.14'\n-4611686018427387904\n",
    ),
    calls(
        "qsort calls back",
        "a = (c_int * 6)(5, 3, 9, -1, 7, 0)\n"
        "f = CFUNCTYPE(c_int, POINTER(c_int), POINTER(c_int))\n"
        "LIBC.qsort(a, 6, sizeof(c_int), f(lambda x, y: x[0] - y[0]))\nprint(list(a))",
        "[-1, 0, 3, 5, 7, 9]\n",
    ),
    calls(
        "arguments behind dots",
        "b = create_string_buffer(100)\nLIBC.snprintf.argtypes = [c_char_p, c_size_t, c_char_p]\n"
        "n = LIBC.snprintf(b, 100, b'%d %s %.3f %lld %c %.2Lf %d', c_int(42), c_char_p(b'text'),"
        " c_double(3.25), c_longlong(1 << 40), c_int(65), c_longdouble(1.5),"
        " c_int(9))\nprint(n, b.value)",
        "36 b'42 text 3.250 1099511627776 A 1.50 9'\n",
    ),
    calls(
        "structs by value",
        "class Div(Structure): _fields_ = [('quot', c_int), ('rem', c_int)]\n"
        "LIBC.div.restype = Div\nr = LIBC.div(17, 5)\nprint(r.quot, r.rem)\n"
        "class P(Structure): _fields_ = [('x', c_double), ('y', c_int)]\n"
        "class One(Structure): _fields_ = [('x', c_float)]\n"
        "f = CFUNCTYPE(c_double, P, c_int, One)(lambda p, n, o: p.x * n + p.y + o.x)\n"
        "print(f(P(1.5, 2), 3, One(0.25)))",
        "3 2\n6.75\n",
    ),
    calls(
        "every type there and back",
        "for t, v in [(c_byte, -5), (c_ubyte, 250), (c_short, -300), (c_ushort, 60000),"
        " (c_int, -7), (c_uint, 4000000000), (c_longlong, -1 << 60), (c_ulonglong, (1 << 64) - 1),"
        " (c_float, 1.5), (c_double, 2.25), (c_longdouble, 3.5), (c_bool, True), (c_char, b'x'),"
        " (c_wchar, 'y'), (py_object, [1])]:\n"
        "  if CFUNCTYPE(t, t)(lambda x: x)(v) != v: print(t)\n"
        "f = CFUNCTYPE(c_double, c_int, c_double, c_longlong, c_float, c_byte, c_longdouble)\n"
        "print(f(lambda *a: sum(a))(1, 0.5, 1 << 40, 0.25, -3, 2.0))",
        "1099511627776.75\n",
    ),
    calls(
        "types that do not fit",  # as a machine's registers have it: no end of the program
        "LIBC.srand(1)\nprint(LIBC.abs(-3, 4, 5), LIBC.toupper())\n"
        "LIBC.sqrt.restype = c_double\nprint(LIBC.sqrt(4))",
        "3 0\n2.0\n",
    ),
    calls(
        "a callback that raises",
        "import sys\nsys.unraisablehook = lambda u: print(repr(u.exc_value))\n"
        "def f(): raise ValueError('x')\nprint(CFUNCTYPE(c_int)(f)())",
        "ValueError('x')\n0\n",
    ),
    calls(
        "memory and texts",
        "b = create_string_buffer(8)\nmemmove(b, b'abc', 4)\nmemset(addressof(b) + 1, 66, 1)\n"
        "print(string_at(b), cast(b, c_char_p).value, wstring_at(create_unicode_buffer('hé')))",
        "b'aBc' b'aBc' hé\n",
    ),
    calls(
        "errno",
        "import errno\nf = CDLL(None, use_errno=True).open\nprint(f(b'/none', 0), "
        "errno.errorcode[get_errno()])\nset_errno(5)\nprint(get_errno())",
        "-1 ENOENT\n5\n",
    ),
    calls(
        "a function that is not there",
        "try: LIBC.no_such_function\nexcept AttributeError as e: print(e)\n"
        "print(hasattr(LIBC, 'strlen'))",
        "undefined symbol: no_such_function\nTrue\n",
    ),
    calls(
        "callbacks come and go",  # a host function each would be too many in the end
        "f = CFUNCTYPE(c_int, c_int)\ng = CFUNCTYPE(c_double, c_double)\n"
        "for i in range(100000): f(abs); g(abs)\nprint(f(abs)(-2), g(abs)(-2))",
        "2 2.0\n",
    ),
    calls(
        "too many callbacks",
        "f = CFUNCTYPE(c_int)\nkept = []\n"
        "try:\n  while True: kept.append(f(int))\n"
        "except (MemoryError, RuntimeError): print(len(kept) > 50000, kept[-1]())",
        "True 0\n",
    ),
    calls(
        "recursion through callbacks",  # Python's own limit comes first
        "import sys\nsys.unraisablehook = lambda u: None\nd = 0\n"
        "@CFUNCTYPE(c_int, c_int)\ndef f(n):\n  global d\n  d = max(d, n)\n  return f(n + 1)\n"
        "f(0)\nprint(d > 100)",
        "True\n",
    ),
    calls(
        "no such library",
        "for p in '/none.so', 'none.so', '/tmp':\n  try: CDLL(p)\n  except OSError as e: print(e)",
        "/none.so: cannot open shared object file: No such file or directory\n"
        "none.so: cannot open shared object file: No such file or directory\n"
        "/tmp: cannot read shared object file (error 31)\n",
    ),
    calls(
        "a file that is no library",
        "import importlib.machinery, importlib.util\n"
        "for b in b'', b'\\0asm\\1\\0\\0\\0', b'VITRLNK\\0' + bytes(88), b'100 %s %n' * 99:\n"
        "  with open('/tmp/x.so', 'wb') as f: f.write(b)\n"
        "  try: CDLL('/tmp/x.so')\n  except OSError as e: print(str(e)[:60])\n"
        "try: importlib.util.module_from_spec(importlib.util.spec_from_file_location('x',"
        " loader=importlib.machinery.ExtensionFileLoader('x', '/tmp/x.so')))\n"
        "except ImportError as e: print(type(e).__name__, str(e)[:60])",
        "/tmp/x.so: not a side module prepared for this guest: link r\n" * 4
        + "ImportError /tmp/x.so: not a side module prepared for this guest: link r\n",
    ),
    calls(
        "a record of a module that is not there",
        "import struct\nb = b'VITRLNK\\0' + struct.pack('<II32s12I', 1, 96, b'\\7' * 32, 0, 16, 2,"
        " 0, 0, 0, 0, 0, 0, 96, 96, 0)\nwith open('/tmp/x.so', 'wb') as f: f.write(b)\n"
        "try: CDLL('/tmp/x.so')\nexcept OSError as e: print(e)",
        "/tmp/x.so: its machine code is not in this environment\n",
    ),
]
