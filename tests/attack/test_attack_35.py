"""Attack 35: what a granted directory should not have: a rename over a link or across mounts, a
path of 40 kB, a fifo, a device, a socket, hard links; and a file that is swapped between the look
at it and its opening.

Expected: refused, or done to the name alone. Nothing outside is read or changed however often names
are swapped under the program, and a fifo makes nobody wait.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from driver import Program, clean_environment
from granted import MODES, Trapped, make_trapped
from target import Target

NAMES = """
import errno, os, shutil
found = {}
def attempt(label, action):
    try:
        found[label] = repr(action())
    except AttributeError:
        found[label] = 'EPERM'  # there is no such function
    except (OSError, ValueError) as error:
        found[label] = errno.errorcode.get(getattr(error, 'errno', 0), str(error))
open('/tmp/own', 'w').write('own')
attempt('rename out', lambda: os.rename('a.txt', '/tmp/x'))
attempt('rename in', lambda: os.rename('/tmp/own', 'x'))
attempt('replace out', lambda: os.replace('dir', '/home/vitrine/dir'))
attempt('link out', lambda: os.link('a.txt', '/tmp/x'))
attempt('link in', lambda: os.link('/tmp/own', 'x'))
attempt('link within', lambda: os.link('a.txt', 'x'))
attempt('rename over the mount', lambda: os.rename('/tmp', '/work'))
attempt('rename the mount', lambda: os.rename('/work', '/tmp/work'))
attempt('remove the mount', lambda: os.rmdir('/work'))
for length in (4096, 40_000):
    attempt(f'path {length}', lambda: open('a/' * (length // 2)))
    attempt(f'name {length}', lambda: open('a' * length, 'a'))
    attempt(f'mkdir {length}', lambda: os.mkdir('a' * length))
for special in ('fifo', 'socket', 'device'):
    for mode in ('rb', 'ab', 'wb', 'r+b', 'xb'):
        attempt(f'{special} {mode}', lambda: open(special, mode))
    for name in ('stat', 'unlink', 'rmdir', 'mkdir', 'listdir', 'readlink', 'utime'):
        attempt(f'{special} {name}', lambda: getattr(os, name)(special))
    attempt(f'{special} rename', lambda: os.rename(special, 'y'))
    attempt(f'{special} over', lambda: os.rename('dir/b.txt', special))
    attempt(f'{special} chmod', lambda: os.chmod(special, 0o777))
attempt('mkfifo', lambda: os.mkfifo('made'))
attempt('mknod', lambda: os.mknod('made', 0o020644, 0x103))
attempt('hard read', lambda: len(open('hard').read()))
attempt('hard write', lambda: open('hard', 'r+').write('x'))
attempt('hard append', lambda: open('hard', 'a').write('x'))
attempt('hard truncate', lambda: os.truncate('hard', 0))
attempt('hard chmod', lambda: os.chmod('hard', 0o777))
found['listed'] = sorted(os.listdir())
found
"""

SECRET_BYTES = 7 + 32


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    made = make_trapped(tmp_path / "granted")
    if os.geteuid() == 0:
        with suppress(PermissionError):
            os.mknod(made.inside / "device", 0o020666, os.makedev(1, 5))
    if not (made.inside / "device").exists():
        os.mkfifo(made.inside / "device")
    return made


@contextmanager
def running(tmp_path: Path, vitrine: Program, *mounts: str) -> Iterator[Target]:
    """A server with the directories."""
    options = [word for mount in mounts for word in ("--mount", mount)]
    with Target(tmp_path, vitrine, *options, "--timeout", "20") as target:
        yield target
        target.check_unharmed()


@pytest.mark.parametrize("mode", MODES)
def test_names(tmp_path: Path, vitrine: Program, trapped: Trapped, mode: str) -> None:
    with running(tmp_path, vitrine, trapped.mount(mode)) as target:
        result = target.attack(NAMES)
    assert result["status"] == "success", result
    found = result["return_value"]
    listed = found.pop("listed")
    assert not {"fifo", "socket", "device", "made"} & set(listed)
    assert {"a.txt", "dir", "hard", "link"} <= set(listed)
    changes = "EROFS" if mode == "ro" else "EXDEV"
    assert found["rename out"] == found["rename in"] == changes
    assert found["replace out"] in ("EROFS", "EXDEV")
    for label in ("link out", "link in", "link within"):
        assert found[label] in ("EROFS", "EXDEV", "EPERM"), (label, found[label])
    for label in ("rename over the mount", "rename the mount", "remove the mount"):
        assert found[label] in ("EBUSY", "EINVAL", "ENOTEMPTY"), (label, found[label])
    for label, said in found.items():
        kind = label.split()[0]
        if kind in ("path", "name", "mkdir"):
            assert said in ("ENAMETOOLONG", "ENOENT", "EROFS"), (label, said)
        elif kind in ("fifo", "socket", "device"):
            assert said in ("EACCES", "EROFS"), (label, said)
        elif kind in ("mkfifo", "mknod"):
            assert said in ("EPERM", "EROFS", "ENOSYS"), (label, said)
    assert found["hard read"] == str(SECRET_BYTES)
    if mode != "overlay":
        assert {found[f"hard {what}"] for what in ("write", "append", "truncate", "chmod")} == {
            "EROFS" if mode == "ro" else "EPERM"
        }
    trapped.check_unharmed()
    assert (trapped.inside / "a.txt").read_text() == "hello"
    assert (trapped.inside / "dir" / "b.txt").read_text() == "deep"


def test_a_rename_over_a_link(tmp_path: Path, vitrine: Program, trapped: Trapped) -> None:
    """The link goes, and what it led to stays."""
    code = """
import os
os.rename('a.txt', 'absolute')
os.rename('dir', 'newdir')
os.replace('newdir/b.txt', 'out-dir')
os.remove('passwd')
open('absolute').read(), open('out-dir').read(), os.listdir('newdir')
"""
    with running(tmp_path, vitrine, trapped.mount("rw")) as target:
        result = target.attack(code)
    assert result["return_value"] == ["hello", "deep", ["up-up"]], result
    trapped.check_unharmed()
    assert (trapped.inside / "absolute").is_file()
    assert not (trapped.inside / "absolute").is_symlink()


def test_across_two_mounts(tmp_path: Path, vitrine: Program, trapped: Trapped) -> None:
    other = tmp_path / "other"
    other.mkdir()
    code = """
import errno, os, shutil
found = []
for action in (
    lambda: os.rename('/work/a.txt', '/other/a.txt'),
    lambda: os.rename('/work/dir', '/other/dir'),
):
    try:
        action()
    except OSError as error:
        found.append(errno.errorcode[error.errno])
shutil.move('/work/a.txt', '/other/a.txt')  # copies, as between any two file systems
found, os.listdir('/other'), os.path.exists('/work/a.txt')
"""
    with running(tmp_path, vitrine, trapped.mount("rw"), f"{other}:/other:rw") as target:
        result = target.attack(code)
    assert result["return_value"] == [["EXDEV"] * 2, ["a.txt"], False], result
    assert (other / "a.txt").read_text() == "hello"


# ---- Swaps -----------------------------------------------------------------------------------

# Opens, reads, writes, lists, makes and removes while names change under it.
LOOK = """
import os, time
seen, made = set(), 0
end = time.monotonic() + 3
while time.monotonic() < end:
    for path in ('swap', 'swapdir/secret', '/work/swap', 'swapdir/../swap'):
        for mode in MODES:
            try:
                with open(path, mode) as file:
                    if mode == 'rb':
                        seen.add(file.read(80))
                    else:
                        file.write(b'mine')
                        made += 1
            except OSError:
                pass
    for action in (
        lambda: seen.update(os.listdir('swapdir')),
        lambda: os.truncate('swap', 0),
        lambda: os.chmod('swap', 0o600),
        lambda: os.remove('swapdir/secret'),
        lambda: os.mkdir('swapdir/made'),
        lambda: os.rename('a.txt', 'swapdir/a.txt'),
        lambda: os.rename('swapdir/a.txt', 'a.txt'),
        lambda: seen.add(os.readlink('swap')),
    ):
        try:
            action()
        except OSError:
            pass
sorted(map(repr, seen)), made
"""


def swapping(steps: list[Callable[[], None]], stop: threading.Event) -> None:
    """Names change as fast as they can."""
    while not stop.is_set():
        for step in steps:
            with suppress(OSError):
                step()


@pytest.mark.parametrize("mode", MODES)
def test_swaps(tmp_path: Path, vitrine: Program, trapped: Trapped, mode: str) -> None:
    inside, outside = trapped.inside, trapped.outside
    spare = inside / "spare"
    (inside / "realdir").mkdir()
    (inside / "realdir" / "secret").write_text("fine", encoding="ascii")

    def put(name: str, make: Callable[[Path], object]) -> Callable[[], None]:
        def step() -> None:
            with suppress(FileNotFoundError):
                spare.unlink()
            make(spare)
            os.rename(spare, inside / name)

        return step

    def put_dir() -> None:
        os.unlink(inside / "swapdir")
        os.rename(inside / "realdir", inside / "swapdir")
        time.sleep(0)
        os.rename(inside / "swapdir", inside / "realdir")

    steps = [
        put("swap", lambda path: path.write_text("fine", encoding="ascii")),
        put("swap", lambda path: path.symlink_to(outside / "secret")),
        put("swap", lambda path: path.symlink_to("../outside/secret")),
        put("swap", lambda path: os.mkfifo(path)),
        put("swap", lambda path: os.link(outside / "secret", path)),
        put("swapdir", lambda path: path.symlink_to("../outside")),
        put_dir,
    ]
    if mode != "ro":
        steps.pop(4)  # that is no file of the outside any more, but one of the directory
    stop = threading.Event()
    swapper = threading.Thread(target=swapping, args=(steps, stop))
    swapper.start()
    try:
        with running(tmp_path, vitrine, trapped.mount(mode)) as target:
            modes = ["rb", "r+b", "ab"] if mode != "ro" else ["rb"]
            result = target.attack(f"MODES = {modes!r}\n{LOOK}")
    finally:
        stop.set()
        swapper.join()
    assert result["status"] == "success", result
    seen, made = result["return_value"]
    if mode == "ro":
        seen = [item for item in seen if "canary" not in item]  # through its other name
    assert not any("canary" in item for item in seen), seen
    assert any("fine" in item or "mine" in item for item in seen), seen
    assert (made > 0) is (mode != "ro")
    assert (outside / "secret").read_text(encoding="ascii") == trapped.secret
    assert (outside / "secret").stat().st_mode & 0o7777 == 0o644
    assert sorted(os.listdir(outside)) == ["dir", "secret"]
    assert sorted(os.listdir(outside.parent)) == ["inside", "outside"]


def test_what_is_mounted_below(tmp_path: Path, vitrine: Program, trapped: Trapped) -> None:
    """Another file system in the directory is not part of it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    else:
        prefix = ["unshare", "--mount"]
    script = (
        f"mount -t tmpfs none {trapped.inside}/dir && echo canary > {trapped.inside}/dir/c && "
        'exec "$@"'
    )
    code = "import os\nprint(os.listdir('dir') if os.path.isdir('dir') else 'refused')"
    done = subprocess.run(
        [*prefix, "sh", "-c", script, "sh", vitrine.path, "run", "--mount"]
        + [str(trapped.inside), "-c", code],
        capture_output=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert b"canary" not in done.stdout
    assert done.stdout in (
        b"refused\n",
        b"[]\n",
        b"['b.txt', 'up-up']\n",
        b"['up-up', 'b.txt']\n",
    ), done
