"""The jail where it is not given everything: as root, as an ordinary user, with user namespaces
forbidden, and in a default container, which is imitated: Docker's default capabilities, what its
default profile denies, own namespaces, /proc and /sys read-only.

Expected in each: a program runs; `vitrine doctor` tells the truth, as util-linux's unshare, the
kernel and /proc/PID/status have it; the filter holds; --require-jail decides by it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from driver import Json, build_folder, children_of, clean_environment
from target import status_of

NOBODY = "65534"
DOCKER_CAPABILITIES = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,"
    "sys_chroot,mknod,audit_write,setfcap"
)
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
WITH_CAPABILITIES = [
    "setpriv",
    "--bounding-set=-all,+" + DOCKER_CAPABILITIES.replace(",", ",+"),
    "--inh-caps=-all",
]
# Its own namespaces, and what Docker makes read-only or puts something over.
CONTAINER = """
mount -t proc proc /proc
for path in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do
    [ ! -e $path ] || { mount --bind $path $path && mount -o remount,ro,bind $path; }
done
for path in /proc/kcore /proc/keys /proc/timer_list; do
    [ ! -e $path ] || mount --bind /dev/null $path
done
for path in /proc/acpi /proc/scsi /sys/firmware; do
    [ ! -d $path ] || mount -t tmpfs -o ro tmpfs $path
done
exec "$@"
"""
FORBIDDEN = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
NEW_CONTAINER = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork"]
UNSHARE_OPTIONS = {
    "user namespace": "--user",
    "mount namespace": "--mount",
    "pid namespace": "--pid",
    "network namespace": "--net",
    "IPC namespace": "--ipc",
    "UTS namespace": "--uts",
    "cgroup namespace": "--cgroup",
}
STATUS_PARTS = ["no new privileges", "no capabilities", "system call filter"]
FULL = ["pid namespace", "network namespace", "IPC namespace", *STATUS_PARTS]


@dataclass(frozen=True)
class Place:
    """Where a program is started: behind a prefix of commands."""

    folder: Path
    prefix: list[str]

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        environment = clean_environment() | {"HOME": str(self.folder), "XDG_CACHE_HOME": ""}
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
        )

    def run(self, *command: str) -> tuple[int, str, str]:
        with self.start(*command) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def vitrine(self, *args: str) -> tuple[int, str, str]:
        return self.run(f"{self.folder}/vitrine", *args)

    def doctor(self, *args: str) -> tuple[int, Json]:
        status, out, err = self.vitrine("doctor", "--json", *args)
        assert out, err
        return status, json.loads(out)

    def parts(self) -> dict[str, Json]:
        """What the doctor says of each part of the jail."""
        return {
            found["name"]: found
            for found in self.doctor()[1]["findings"]
            if found["group"] == "Jail"
        }


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """A copy that everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="vitrine-situations-"))
    folder.chmod(0o755)
    build = build_folder()
    for name in ("vitrine", "vitrine-cell", "vitrine-fetch", "vitrine-precompile"):
        shutil.copy(build / name, folder)
    shutil.copy(build / "tests/attack/probe/confine", folder)
    for name in ("guest", "lib"):
        shutil.copytree(build / name, folder / name)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    yield folder
    shutil.rmtree(folder)


def prefixes(folder: Path) -> dict[str, list[str]]:
    """The situations. An ordinary user who runs the tests gets root's from a user namespace."""
    is_root = os.geteuid() == 0
    as_root = [] if is_root else ["unshare", "--user", "--map-root-user"]
    as_user = AS_NOBODY if is_root else []
    container = [*as_root, *NEW_CONTAINER, "sh", "-c", CONTAINER, "sh"]
    no_users = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDEN, "sh"]
    confine = f"{folder}/confine"
    return {
        "root": [*as_root],
        "user": [*as_user],
        "no user namespaces": [*no_users, *WITH_CAPABILITIES],
        "container": [*container, *WITH_CAPABILITIES, confine],
        "user in a container": [*container, *as_user, confine],
    }


SITUATIONS = ["root", "user", "no user namespaces", "container", "user in a container"]


@pytest.fixture(params=SITUATIONS)
def place(programs: Path, request: pytest.FixtureRequest) -> Place:
    return Place(programs, prefixes(programs)[request.param])


def truth(place: Place) -> dict[str, bool]:
    """What the system lets a process have there, by other means than ours."""
    with_user = place.run("unshare", "--user", "true")[0] == 0
    found = {"user namespace": with_user}
    for part, option in UNSHARE_OPTIONS.items():
        options = ["--user", "--map-root-user"] if with_user else []
        found[part] = place.run("unshare", *options, option, "--fork", "true")[0] == 0
    found["user namespace"] = with_user
    found["empty root"] = found["mount namespace"]
    abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)
    return (
        found | {"Landlock": abi >= 1, "resource limits": True} | dict.fromkeys(STATUS_PARTS, True)
    )


def test_a_program_runs(place: Place) -> None:
    assert place.vitrine("run", "-c", "print(6 * 7)") == (0, "42\n", "")


def test_the_doctor_tells_the_truth(place: Place) -> None:
    parts = place.parts()
    assert {name: found["state"] == "ok" for name, found in parts.items()} == truth(place)
    for found in parts.values():
        assert (found["state"] == "ok") == ("advice" not in found)
        assert (found["state"] == "ok") == (found["text"] == "")


def test_the_doctor_says_why_there_is_no_control_group(place: Place) -> None:
    """Whoever has none gets the system's own reason: no right to it, or nothing to be written."""
    rows = [row for row in place.doctor()[1]["findings"] if row["group"] == "Control group"]
    assert [row["name"] for row in rows] == ["memory", "processes", "processor share"]
    for row in rows:
        assert (row["state"] == "ok") == ("advice" not in row)
        reasons = ("Permission denied", "Read-only file system", "is to be seen")
        assert row["state"] == "ok" or any(reason in row["text"] for reason in reasons), row


def test_the_filter_holds(place: Place) -> None:
    """As /proc has it, of every process of ours."""
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "net", "ipc")}
    parts = place.parts()
    code = "import time; time.sleep(3)"
    with place.start(f"{place.folder}/vitrine", "run", "-c", code) as process:
        time.sleep(1)
        cells = [
            pid for pid in children_of(process.pid) if status_of(pid)["Name"] == "vitrine-cell"
        ]
        seen = [status_of(pid) for pid in cells]
        worlds = [
            {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in own}
            for pid, status in zip(cells, seen, strict=True)
            if status["Seccomp"] == "2" and status["Seccomp_filters"] >= "2"
        ]
        process.kill()
    jailed = [status for status in seen if status["CapEff"] == "0" * 16]
    assert len(jailed) == len(cells) >= 3  # the launcher, the zygote, the cell
    filtered = [status for status in seen if status["NoNewPrivs"] == "1"]
    assert len(filtered) >= 2
    assert len(worlds) >= 2
    for name, part in (("pid", "pid"), ("net", "network"), ("ipc", "IPC")):
        if parts[f"{part} namespace"]["state"] == "ok":
            assert all(world[name] != own[name] for world in worlds)


def test_what_is_required_decides(place: Place) -> None:
    having = {name for name, found in place.parts().items() if found["state"] == "ok"}
    is_full = having >= set(FULL) and bool(having & {"empty root", "Landlock"})
    status, doctor = place.doctor("--require-jail", "full")
    assert (status, doctor["jail"]) == ((0, "full") if is_full else (1, "seccomp"))
    assert doctor["runs"] and doctor["start_us"] > 0
    assert place.doctor()[0] == 0
    status, out, err = place.vitrine("run", "--require-jail", "full", "-c", "print(1)")
    if is_full:
        assert (status, out, err) == (0, "1\n", "")
    else:
        assert (status, out) == (125, "")
        assert "--require-jail full is not met; missing: " in err
        assert all(part in err for part in set(FULL) - having)
        assert "vitrine doctor" in err and "--require-jail seccomp" in err
    for level in ("seccomp", "none"):
        assert place.vitrine("run", "--require-jail", level, "-c", "print(1)")[:2] == (0, "1\n")


def server_lines(place: Place, *args: str) -> list[str]:
    """What a server says of its jail at its start."""
    command = f'sleep 1 | "{place.folder}/vitrine" stdio "$@"'
    status, out, err = place.run("sh", "-c", command, "sh", *args)
    assert (status, out) == (0, ""), err
    return [line for line in err.splitlines() if "jail: " in line]


def test_a_server_says_what_is_missing(place: Place) -> None:
    missing = [name for name, found in place.parts().items() if found["state"] != "ok"]
    if not missing:
        assert server_lines(place) == []
        assert server_lines(place, "-v") == ["vitrine: jail: complete"]
    else:
        [line] = server_lines(place)
        assert line.startswith("vitrine: jail: without " + ", ".join(missing) + " (")


def test_nothing_runs_without_a_filter_unless_that_is_asked_for(programs: Path) -> None:
    """On a kernel without seccomp."""
    place = Place(programs, [f"{programs}/confine", "--no-filters"])
    status, out, err = place.vitrine("run", "-c", "print(1)")
    assert (status, out) == (125, "")
    assert "--require-jail seccomp is not met; missing: system call filter (seccomp: " in err
    assert place.vitrine("run", "--require-jail", "none", "-c", "print(1)") == (0, "1\n", "")
    assert place.parts()["system call filter"]["state"] == "missing"
    status, doctor = place.doctor()
    assert (status, doctor["jail"], doctor["runs"]) == (1, "none", True)
    [line] = server_lines(place, "--require-jail", "none")
    assert "jail: without system call filter (seccomp: " in line
