"""Attack 8: native code reaches for other processes, for privileges, and for the wide corners of
the kernel: ptrace, process_vm_readv, pidfd_getfd, io_uring, userfaultfd, bpf, keyctl, perf_event,
unshare, mount, execveat and their kind.

Expected: each ends the process with SIGSYS. The server calls the run a crash, keeps what was
printed, and goes on.

The arguments are such that a call that should get through does no harm to the machine.
"""

from __future__ import annotations

import pytest
from probe import ProbeZygote, call
from target import Target

SIGCHLD = 17
NEW_USER = 0x10000000
NEW_NAMESPACES = (0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000, NEW_USER)

# Processes: reading them, writing to them, taking their descriptors.
PROCESSES = [
    call("ptrace", 2, "@parent", "@code", "@page"),
    call("ptrace", 0x4206, 0, 0, 0),
    call("process_vm_readv", "@parent", "@page", 1, "@page", 1, 0),
    call("process_vm_writev", "@parent", "@page", 1, "@page", 1, 0),
    call("process_madvise", 3, "@page", 1, 4, 0),
    call("pidfd_open", "@parent", 0),
    call("pidfd_getfd", 3, 3, 0),
    call("pidfd_send_signal", 3, 0, 0, 0),
    call("kcmp", "@pid", "@parent", 0, 0, 0),
    call("migrate_pages", "@pid", 0, 0, 0),
    call("move_pages", "@parent", 0, 0, 0, 0, 0),
    call("sched_setscheduler", "@pid", 0, "@page"),
    call("get_robust_list", "@parent", "@page", "@page"),
]
# Programs and processes of its own, beyond those that a zygote forks.
PROGRAMS = [
    call("execve", "'/bin/sh", 0, 0),
    call("execveat", -100, "'/bin/sh", 0, 0, 0),
    call("execveat", 3, "'", 0, 0, 0x1000),
    call("vfork"),
    call("clone3", "@page", 88),
    *(call("clone", SIGCHLD | flag) for flag in NEW_NAMESPACES),
    call("clone", 0x00000100 | SIGCHLD),
    call("memfd_create", "'x", 0),
    call("uselib", "'/lib/x"),
]
# Other places: namespaces, mounts, roots.
PLACES = [
    *(call("unshare", flag) for flag in NEW_NAMESPACES),
    call("setns", 3, 0),
    call("mount", 0, 0, 0, 0, 0),
    call("umount2", "'/nowhere", 2),
    call("pivot_root", "'/nowhere", "'/nowhere"),
    call("chroot", "'."),
    call("chdir", "'/"),
    call("fchdir", 0),
    call("open_tree", -100, "'/", 1),
    call("move_mount", 3, "'", -100, "'/", 4),
    call("fsopen", "'tmpfs", 0),
    call("fsmount", 3, 0, 0),
    call("fspick", -100, "'/", 0),
    call("mount_setattr", -100, "'/nowhere", 0, "@page", 32),
    call("name_to_handle_at", -100, "'/", "@page", "@page", 0),
    call("open_by_handle_at", 3, "@page", 0),
]
# Corners of the kernel with a history.
CORNERS = [
    call("io_uring_setup", 1, "@page"),
    call("io_uring_enter", 3, 0, 0, 0, 0, 0),
    call("io_uring_register", 3, 0, 0, 0),
    call("userfaultfd", 1),
    call("bpf", 0, "@page", 72),
    call("perf_event_open", "@page", 0, -1, -1, 0),
    call("keyctl", 0, -3, 0),
    call("add_key", "'user", "'x", "@page", 1, 0x7FFFFFFF),
    call("request_key", "'user", "'x", 0, -3),
    call("io_setup", 1, "@page"),
    call("modify_ldt", 0, "@page", 16),
    call("fanotify_init", 0, 0),
    call("inotify_init1", 0),
    call("lookup_dcookie", 0, "@page", 16),
    call("vmsplice", 3, "@page", 1, 0),
    call("splice", 3, 0, 3, 0, 1, 0),
    call("tee", 3, 3, 1, 0),
    call("kexec_load", 0, 0, 0, 0xFFFF),
    call("init_module", "@page", 1, "'"),
    call("finit_module", 0, "'", 0),
    call("delete_module", "'x", 0),
    call("shmget", 0x7669, 4096, 0),
    call("msgget", 0x7669, 0),
    call("semget", 0x7669, 1, 0),
    call("mq_open", "'nowhere", 0, 0, 0),
    call("timer_create", 0, "@page", "@page"),
    call("epoll_create1", 0),
    call("memfd_secret", 0),
    call("set_mempolicy", 0, 0, 0),
    call("mbind", "@page", 4096, 0, 0, 0, 0),
    call("membarrier", 0, 0, 0),
    call("remap_file_pages", "@page", 4096, 0, 0, 0),
    call("syslog", 3, "@page", 16),
    call("ustat", 0, "@page"),
    call("sysfs", 3),
]
# Who it is, and what it may.
PRIVILEGES = [
    call("setuid", 0),
    call("setgid", 0),
    call("setgroups", 0, 0),
    call("setresuid", 0, 0, 0),
    call("setfsuid", 0),
    call("capset", "@page", "@page"),
    call("personality", 0x0400000),
    call("seccomp", 1, 0, "@page"),
    call("landlock_create_ruleset", "@page", 8, 0),
    call("landlock_restrict_self", 3, 0),
    call("arch_prctl", 0x1002, "@page"),
    call("iopl", 3),
    call("ioperm", 0, 8, 1),
    call("reboot", 0, 0, 0, 0),
    call("sethostname", "'x", 4096),
    call("acct", "'x"),
    call("swapon", "'x", 0),
    call("quotactl", 0, 0, 0, 0),
    call("settimeofday", 0, 0),
    call("adjtimex", "@page"),
]
ALL = PROCESSES + PROGRAMS + PLACES + CORNERS + PRIVILEGES
CELL_ALONE = [call("fork"), call("clone", SIGCHLD), call("prctl", 4, 1), call("prctl", 22, 2)]


def test_in_a_cell(probe_zygote: ProbeZygote) -> None:
    tried = ALL + CELL_ALONE
    found = probe_zygote.run_all(f"print here\n{command}" for command in tried)
    lived = [c for c, spoken in zip(tried, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []
    assert all(spoken.lines == ["here"] for spoken in found)


@pytest.mark.parametrize("commands", [PROCESSES, PROGRAMS, PLACES, CORNERS, PRIVILEGES])
def test_the_server_goes_on(broken_out: Target, commands: list[str]) -> None:
    for command in commands:
        result = broken_out.call(f"print before\n{command}\nprint after")
        assert (result["status"], result["stdout"]) == ("crash", "before\n"), command
        assert "SIGSYS" in result["error"]["message"]
