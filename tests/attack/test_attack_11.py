"""Attack 11: what a cell and its zygote hold: descriptors, environment, folder, powers.

Expected: exactly the agreed set. A cell has the null device twice, the server's log and one socket;
a zygote also what it opened of the guest's parts. Neither has an environment, a terminal or a
capability, and the guest sees nine variables of its own, none of the server's.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path

from probe import ProbeZygote, call
from target import Target, descriptors, family, status_of

GUEST_ENVIRONMENT = {
    "HOME": "/home/vitrine",
    "USER": "vitrine",
    "LOGNAME": "vitrine",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_CTYPE": "C.UTF-8",
    "TMPDIR": "/tmp",
    "PWD": "/home/vitrine",
    "TERM": "dumb",
}
COMMON = {0: "/dev/null", 1: "/dev/null", 2: "socket:", 3: "socket:"}
# Of a zygote: the signals of its children, and the precompiled files, which stay mapped.
ZYGOTE_KINDS = (r"anon_inode:\[signalfd\]", r".*/guest/\w+/[\w.]+\.cwasm", r"socket:\[\d+\]")


def check_common(pid: int) -> dict[int, str]:
    """The first four descriptors; the others."""
    opened = descriptors(pid)
    for fd, name in COMMON.items():
        assert opened.pop(fd).startswith(name), (fd, name)
    return opened


def test_descriptors(target: Target) -> None:
    with family(target) as found:
        assert found["cell"] and found["zygote"]
        for pid in found["cell"]:
            assert check_common(pid) == {}
        for pid in found["zygote"]:
            others = check_common(pid)
            strange = [n for n in others.values() if not any(re.match(k, n) for k in ZYGOTE_KINDS)]
            assert strange == []


def test_environment(target: Target) -> None:
    result = target.call("import os; dict(os.environ)")
    assert result["return_value"] == GUEST_ENVIRONMENT
    with family(target) as found:
        for pid in chain(*found.values()):
            assert Path(f"/proc/{pid}/environ").read_bytes() == b""
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            assert target.secret not in "".join(words)


def test_native_code_has_no_environment(probe_zygote: ProbeZygote) -> None:
    assert probe_zygote.run("environment").lines == ["environment: end"]
    # And cannot ask for more descriptors than it has.
    asking = [call("dup", 3), call("dup2", 3, 9), call("fcntl", 3, 0, 9), call("dup3", 3, 9, 0)]
    found = probe_zygote.run_all([*asking, call("recvmsg", 3, "@page", 0), call("pipe", "@page")])
    assert {spoken.end for spoken in found} == {"SIGSYS"}


def check_powers(pid: int) -> None:
    """No thread of the process has any."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = status_of(int(task.name))
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0, (pid, kind, status)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status


def test_powers(target: Target) -> None:
    with family(target) as found:
        for pid in found["cell"]:
            check_powers(pid)
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            for name in ("Max open files +4 +4", "Max file size +0 +0", "Max processes +0 +0"):
                assert re.search(name, limits), limits


def test_no_terminal(target: Target) -> None:
    """Another session than the server's, so that no terminal of its is theirs."""
    with family(target) as found:
        for pid in chain(*found.values()):
            assert os.getsid(pid) != os.getsid(target.pid)
