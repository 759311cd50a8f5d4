"""Attack 10: the files of the host: /etc/passwd, /proc/*/environ, /proc/self/{mem,exe,maps}, /sys,
devices, and abstract sockets.

Expected: Python in the guest finds none of them, by any way to open, list or ask. Native code is
ended with SIGSYS for asking. What the guest shows in their place is its own.
"""

from __future__ import annotations

from probe import ProbeZygote, call
from target import Target

HOST_FILES = (
    "/etc/passwd /etc/shadow /etc/hostname /etc/resolv.conf /etc/hosts /etc/ssl /root /root/.ssh"
    " /proc /proc/self /proc/self/mem /proc/self/exe /proc/self/maps /proc/self/environ"
    " /proc/self/fd /proc/self/root /proc/self/cwd /proc/self/cmdline /proc/1/environ /proc/1/root"
    " /proc/sys/kernel/core_pattern /proc/kallsyms /proc/mounts /proc/net/tcp /sys /sys/kernel"
    " /sys/class/net /sys/fs/cgroup /dev/mem /dev/kmsg /dev/tty /dev/pts /dev/ptmx /dev/shm"
    " /dev/sda /dev/fuse /dev/kvm /dev/fd/3 /run /run/docker.sock /var /var/run /boot /usr/bin/env"
    " /bin/sh /lib64 /lib/x86_64-linux-gnu /opt /srv /mnt /tmp/vitrine /vmlinuz"
    " /home/../etc/passwd //etc/passwd /./etc/passwd /tmp/../../etc/passwd /lib/../proc/self/mem"
).split()

# Every way that a path can be named to the system. Prints what it got hold of.
PYTHON = """\
import glob, io, os, pathlib, shutil
found = []
def attempt(label, action):
    try:
        answer = action()
    except (OSError, ValueError) as error:
        return
    found.append((label, repr(answer)[:80]))
for path in paths:
    attempt(('open', path), lambda: open(path, 'rb').read(10))
    attempt(('os.open', path), lambda: os.open(path, os.O_RDONLY))
    attempt(('write', path), lambda: open(path, 'r+b'))
    attempt(('path', path), lambda: os.open(path, getattr(os, 'O_PATH', 0)))
    attempt(('stat', path), lambda: os.stat(path))
    attempt(('lstat', path), lambda: os.lstat(path))
    attempt(('listdir', path), lambda: os.listdir(path))
    attempt(('scandir', path), lambda: list(os.scandir(path)))
    attempt(('readlink', path), lambda: os.readlink(path))
    attempt(('chdir', path), lambda: os.chdir(path))
    attempt(('statvfs', path), lambda: os.statvfs(path))
    attempt(('bytes', path), lambda: open(os.fsencode(path), 'rb').read(10))
    attempt(('io', path), lambda: io.FileIO(path).read(10))
    attempt(('copy', path), lambda: shutil.copy(path, '/tmp/copy'))
    attempt(('relative', path), lambda: open('../../../../../..' + path, 'rb').read(10))
    attempt(('dir_fd', path), lambda: os.open('..' + path, os.O_RDONLY, dir_fd=os.open('/', 0)))
    if os.path.exists(path) or glob.glob(path + '*') or pathlib.Path(path).exists():
        found.append(('exists', path))
    link = '/tmp/l%d' % len(os.listdir('/tmp'))
    os.symlink(path, link)
    attempt(('symlink', path), lambda: open(link, 'rb').read(10))
    attempt(('symlinked folder', path), lambda: os.listdir(link))
    attempt(('rename', path), lambda: os.rename(path, '/tmp/renamed'))
found
"""

# What may be there: the guest's own file system, and nothing else.
ROOT = "import os; sorted(os.listdir('/')), sorted(os.listdir('/dev')), os.listdir('/home')"

SOCKETS = """\
import socket
found = []
for family in ('AF_UNIX', 'AF_INET', 'AF_INET6', 'AF_NETLINK', 'AF_PACKET', 'AF_VSOCK'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, getattr(socket, 'SOCK_RAW', 3)):
        for name in names:
            try:
                made = socket.socket(getattr(socket, family, 1), kind)
                made.connect(name)
            except (OSError, TypeError) as error:
                continue
            found.append((family, kind, name))
found
"""

READING = [
    *(call("openat", -100, f"'{path}", 0) for path in HOST_FILES),
    call("open", "'/etc/passwd", 0),
    call("openat2", -100, "'/etc/passwd", "@page", 24),
    call("creat", "'/tmp/x", 0o600),
    call("openat", 0, "'../etc/passwd", 0),
    call("openat", 2, "'../etc/passwd", 0),
    call("open_by_handle_at", -100, "@page", 0),
    call("readlink", "'/proc/self/exe", "@page", 4096),
    call("readlinkat", -100, "'/proc/self/exe", "@page", 4096),
    call("stat", "'/etc/passwd", "@page"),
    call("newfstatat", -100, "'/etc/passwd", "@page", 0),
    call("statx", -100, "'/etc/passwd", 0, 0xFFF, "@page"),
    call("access", "'/etc/passwd", 4),
    call("faccessat2", -100, "'/etc/passwd", 4, 0),
    call("getxattr", "'/etc/passwd", "'user.x", "@page", 16),
    call("statfs", "'/", "@page"),
    call("getdents64", 0, "@page", 4096),
    call("getcwd", "@page", 4096),
    call("link", "'/etc/passwd", "'/tmp/x"),
    call("symlink", "'/etc/passwd", "'/tmp/x"),
    call("rename", "'/etc/nowhere", "'/tmp/x"),
    call("unlink", "'/tmp/nowhere"),
    call("mkdir", "'/tmp/nowhere/x", 0o700),
    call("rmdir", "'/tmp/nowhere"),
    call("mknod", "'/tmp/nowhere/x", 0o600, 0),
    call("truncate", "'/tmp/nowhere", 0),
    call("chmod", "'/tmp/nowhere", 0),
    call("utimensat", -100, "'/tmp/nowhere", 0, 0),
    call("sendfile", 3, 0, 0, 16),
    call("copy_file_range", 0, 0, 3, 0, 16, 0),
    call("socket", 1, 1, 0),
    call("socketpair", 1, 1, 0, "@page"),
]


def test_python_finds_none_of_them(target: Target) -> None:
    result = target.call(f"paths = {HOST_FILES!r}\n{PYTHON}")
    assert result["status"] == "success", result
    assert result["return_value"] == []


def test_python_looks_properly(target: Target) -> None:
    """What is there, the same program finds by each way."""
    result = target.call(f"paths = ['/lib/python3.14/os.py', '/tmp']\n{PYTHON}")
    ways = {label[0] for label, *_ in result["return_value"] if isinstance(label, list)}
    assert {"open", "os.open", "stat", "listdir", "scandir", "bytes", "copy", "symlink"} <= ways


def test_python_finds_its_own_root(target: Target) -> None:
    [root, devices, home] = target.call(ROOT)["return_value"]
    assert root == ["dev", "home", "lib", "tmp"]
    own = "full null random stderr stdin stdout urandom zero"
    assert devices == own.split()
    assert home == ["vitrine"]


def test_python_reaches_no_socket(target: Target) -> None:
    names = [f"\0{target.listeners.abstract}", str(target.listeners.path), "\0/tmp/.X11-unix/X0"]
    result = target.call(f"names = {names!r}\n{SOCKETS}")
    assert (result["status"], result["return_value"]) == ("success", []), result


def test_the_canary_is_not_read(target: Target) -> None:
    """Neither the file nor the variable, whatever their names."""
    code = f"""
import os
try:
    open({str(target.file)!r})
except OSError as error:
    print(error)
print(dict(os.environ), os.getcwd(), os.listdir(), os.path.exists({str(target.file.parent)!r}))
"""
    result = target.call(code)
    assert result["status"] == "success", result
    assert target.secret not in str(result)
    assert "False" in result["stdout"]


def test_native_code_in_a_cell(probe_zygote: ProbeZygote) -> None:
    found = probe_zygote.run_all(READING)
    lived = [c for c, spoken in zip(READING, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []
