"""What is tied to one version of the interpreter: ast.dump, bytecode, error messages."""

import ast
import dis
import io
import tokenize
import traceback


def work(items: list[int], /, *, scale: int = 2) -> dict[str, object]:
    total = 0
    for index, item in enumerate(items):
        if item % 2 and index:
            total += item * scale
    return {"total": total, "items": [*items]}


print(ast.dump(ast.parse("x: list[int] = [i async for i in y if i]"), indent=2))
dis.dis(work)
print(dis.Bytecode(work).info())
for token in tokenize.generate_tokens(io.StringIO("f'{x!r:>{width}} {{}}' + rb'y'\n").readline):
    print(token)
MISTAKES = [
    "1/0",
    "unknown_name",
    "[].apend",
    "import no_such_module",
    "x = ",
    "def f(:",
    "print 'x'",
    "'a' + 1",
    "{}['key']",
    "(lambda x: x)()",
    "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "int('x' * 20)",
    "f'{1:x y}'",
]
for mistake in MISTAKES:
    try:
        exec(compile(mistake, "<mistake>", "exec"))
    except BaseException as error:
        print("".join(traceback.format_exception_only(error)), end="")
