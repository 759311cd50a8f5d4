"""Tracebacks exactly as CPython prints them for a script, without the frames of the sandbox."""

from vitrine import BUILTINS as __builtins__  # noqa: N811
import sys, traceback
class Found:
    def __init__(s, name, message, text, line): s.name, s.message, s.text, s.line = name, message, text, line
def describe(error, filename, source):
    tb = error.__traceback__
    while tb is not None and '/vitrine/' in tb.tb_frame.f_code.co_filename: tb = tb.tb_next
    error.__traceback__ = tb
    line = 0
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == filename: line = tb.tb_lineno
        tb = tb.tb_next
    return Found(type(error).__qualname__, str(error), ''.join(traceback.format_exception(error)), line)
