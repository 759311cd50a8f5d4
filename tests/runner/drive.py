"""Stands for the host: boots the runner in this interpreter and drives it through one request.

Arguments: the folder of the package, the control descriptor, "cold" or "warm", "run" or "steps".
"""

import os
import sys

leave = os._exit
sys.path.insert(0, sys.argv[1])

from vitrine import runner, wire  # noqa: E402


def drive_steps() -> None:
    """Go step by step, as a host in C does."""
    call, came = runner.step(), None
    while call is not None:
        try:
            came = [call(), None]
        except BaseException as error:
            error.__traceback__ = error.__traceback__.tb_next  # a host in C has no frame
            came = [None, error]
        call = None
        try:
            call = runner.step(came)
        except BaseException:  # a tracer of the program's
            call = runner.step(came)


sys.path.pop(0)
wire.CONTROL_FD = int(sys.argv[2])
runner.prepare(sys.argv[3] == "warm")
if sys.argv[4] == "steps":
    drive_steps()
else:
    runner.run()
leave(0)  # without the interpreter's own end: the program may have broken it
