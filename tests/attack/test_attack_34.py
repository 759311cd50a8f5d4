"""Attack 34: out of a granted directory: `..`, NUL, symbolic links to a file, a directory and the
parent, absolute and relative ones; opened to be read, written and appended to.

Expected: in every mode nothing outside is read, changed or made. Links are followed in the guest's
own tree, where they lead to nothing. (test_attack_34_native.py has native code in the place of the
guest.)
"""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import Program, is_sanitized
from granted import MODES, Trapped, make_trapped
from probe import probe_program
from target import Target

WAYS = """
import os, pathlib, shutil
outside = []
names = [
    'out-file', 'out-dir/secret', 'out-dir/dir', 'up/outside/secret', 'absolute',
    'absolute-dir/secret', 'passwd', 'root/etc/passwd', 'magic/etc/passwd', 'twice',
    '../outside/secret', 'dir/../../outside/secret', 'dir/up-up/outside/secret',
    './/..//outside/secret', '/../../outside/secret', 'dir/' + '../' * 40 + 'etc/passwd',
    'loop', 'up/../../../etc/passwd',
]
def attempt(label, action):
    try:
        outside.append((label, repr(action())[:80]))
    except (OSError, ValueError):
        pass
for name in names:
    for path in (name, '/work/' + name, os.fsencode(name)):
        for mode in ('rb', 'r+b', 'ab', 'wb'):
            if mode == 'wb':
                continue  # below: it makes files of the guest's own
            attempt((name, mode), lambda: open(path, mode).read(1))
        attempt((name, 'stat'), lambda: os.stat(path))
        attempt((name, 'path'), lambda: os.open(path, getattr(os, 'O_PATH', 0o10000000)))
        attempt((name, 'listdir'), lambda: os.listdir(path))
        attempt((name, 'truncate'), lambda: os.truncate(path, 0))
        attempt((name, 'chmod'), lambda: os.chmod(path, 0o777))
        attempt((name, 'utime'), lambda: os.utime(path))
        attempt((name, 'dir_fd'), lambda: os.open(path, 0, dir_fd=os.open('dir', 0)))
        attempt((name, 'nul'), lambda: open('a.txt\\0' + name))
# What is in the guest under these names is the guest's.
for name in names:
    for action in (lambda: open(name, 'wb').write(b'mine'), lambda: os.mkdir(name)):
        try:
            action()
        except (OSError, ValueError):
            pass
outside
"""

INSIDE = """
import os
assert open('a.txt').read() == open('/work/link').read() == 'hello'
assert open('dir/../dir/b.txt').read() == 'deep'
os.chdir('dir')
assert open('../a.txt').read() == 'hello' and os.path.realpath('.') == '/work/dir'
'inside'
"""


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    return make_trapped(tmp_path / "granted")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bare", [False] if is_sanitized() else [False, True])
def test_python(tmp_path: Path, vitrine: Program, trapped: Trapped, mode: str, bare: bool) -> None:
    """With the jail, and without it: there the glass alone keeps the guest inside."""
    options = ("--mount", trapped.mount(mode))
    if bare:
        cell = Path(probe_program()).parent / "vitrine-cell-bare"
        guest = Path(probe_program()).parents[3] / "guest"
        options += ("--cell", str(cell), "--guest-dir", str(guest), "--require-jail", "none")
    with Target(tmp_path, vitrine, *options) as target:
        for code, value in ((INSIDE, "inside"), (WAYS, []), (INSIDE, "inside")):
            result = target.attack(code)
            assert (result["status"], result["return_value"]) == ("success", value), result
            assert trapped.secret not in str(result)
            trapped.check_unharmed()
        target.check_unharmed()
    assert (trapped.inside / "a.txt").read_text() == "hello"
