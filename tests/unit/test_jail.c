/*
 * jail: a native probe in the place of a guest that broke out. Each attempt is made by a child of
 * its own, by system call number, past the C library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "jail/build.h"
#include "jail/fetch.h"
#include "jail/jail.h"

enum { CALLS_MAX = 1024, STATUS_DONE = 42, STATUS_OUTSIDE = 43, WAIT_US = 20000, TRIES = 200 };

static struct jail_filter *filter;

enum { PATH_BYTES = 256, NOBODY = 65534 };
static char zygote_folder[PATH_BYTES / 2];
static uint32_t zygote_parts = (WIRE_JAIL_FILTER << 1) - 1; /* all */

struct attempt {
    long number;
    long args[6];
};

/* A page that is there, in every process. */
static char page[4096] __attribute__((aligned(4096)));

static void child_run(const struct attempt *attempt, int socket_fd, int parent)
{
    struct err err;
    struct jail_limits limits = {.data_bytes = 4 * GIB, .cpu_s = 5};
    if (jail_enter_cell(socket_fd, parent, &limits, filter, NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    const long *a = attempt->args;
    (void)syscall(attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    syscall(SYS_exit_group, STATUS_DONE);
}

/* The wait status of a child that makes one call; one that waits for something is killed. */
static int attempt_make(const struct attempt *attempt)
{
    int ends[2];
    int status = 0;
    int parent = getpid();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        child_run(attempt, ends[1], parent);
    }
    assert_true(pid > 0);
    fd_close(&ends[1]);
    fd_close(&ends[0]);
    pid_t reaped = 0;
    for (int i = 0; i < TRIES && reaped == 0; i++) {
        reaped = waitpid(pid, &status, WNOHANG);
        if (reaped == 0) {
            usleep(i < TRIES / 2 ? 100 : WAIT_US);
        }
    }
    if (reaped == 0) {
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == STATUS_OUTSIDE);
    return status;
}

static bool is_forbidden(const struct attempt *attempt)
{
    int status = attempt_make(attempt);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* ---- The golden list ------------------------------------------------------------------------- */

/* Calls that pass with all arguments 0; what needs more is in the tables below. */
static const long golden[] = {
    SYS_brk,
    SYS_munmap,
    SYS_mprotect,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_setitimer,

    SYS_getrandom,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_sched_yield,
    SYS_getpid,
    SYS_gettid,
    SYS_exit,
    SYS_exit_group,
    SYS_restart_syscall,
    SYS_prlimit64,
};

static bool is_golden(long number)
{
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        if (golden[i] == number) {
            return true;
        }
    }
    return false;
}

/* uretprobe and uprobe on x86-64: since 6.14 the kernel lets them pass every filter. Outside a
 * probe they do nothing but fail. */
static bool is_beyond_filters(long number)
{
    return number == 335 || number == 336;
}

static void every_number_is_in_the_table_or_forbidden(void **state)
{
    (void)state;
    for (long number = 0; number < CALLS_MAX; number++) {
        const struct attempt attempt = {.number = number};
        if (!is_beyond_filters(number) && is_forbidden(&attempt) == is_golden(number)) {
            fail_msg("system call %ld is %s", number, is_golden(number) ? "forbidden" : "allowed");
        }
    }
}

#ifdef __x86_64__
/* The same kernel under other numberings. */
static void other_numberings_are_forbidden(void **state)
{
    (void)state;
    const long x32 = 0x40000000;
    static const long numbers[] = {SYS_getpid, SYS_write, SYS_exit, SYS_execve};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct attempt attempt = {.number = x32 + numbers[i]};
        assert_true(is_forbidden(&attempt));
    }
}

static void int80_run(int socket_fd, int parent)
{
    struct err err;
    struct jail_limits limits = {.data_bytes = 4 * GIB, .cpu_s = 5};
    if (jail_enter_cell(socket_fd, parent, &limits, filter, NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    long number = 20; /* getpid on i386 */
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
    syscall(SYS_exit_group, STATUS_DONE);
}

static void i386_calls_are_forbidden(void **state)
{
    (void)state;
    int ends[2];
    int status;
    int parent = getpid();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int80_run(ends[1], parent);
    }
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* SIGSEGV where the kernel has no i386 calls at all. */
    assert_true(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
}
#endif

/* ---- Arguments ------------------------------------------------------------------------------- */

#define PAGE ((long)(uintptr_t)page)

static void arguments_decide(void **state)
{
    (void)state;
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    const struct {
        bool is_allowed;
        struct attempt attempt;
    } rows[] = {
        {true, {SYS_write, {JAIL_SOCKET_FD, PAGE, 1}}},
        {true, {SYS_write, {STDERR_FILENO, PAGE, 0}}},
        {false, {SYS_write, {STDOUT_FILENO, PAGE, 1}}},
        {false, {SYS_write, {4, PAGE, 1}}},
        {true, {SYS_read, {JAIL_SOCKET_FD, PAGE, 1}}},
        {false, {SYS_read, {STDIN_FILENO, PAGE, 1}}},
        {true, {SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, anonymous, -1, 0}}},
        {false, {SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, anonymous, -1, 0}}},
        {false, {SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE, STDERR_FILENO, 0}}},
        {true, {SYS_mprotect, {PAGE, 4096, PROT_READ | PROT_WRITE}}},
        {false, {SYS_mprotect, {PAGE, 4096, PROT_EXEC}}},
        {false, {SYS_mprotect, {PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}}},
        {false, {SYS_mremap, {PAGE, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0}}},
        {true, {SYS_madvise, {PAGE, 4096, MADV_DONTNEED}}},
        {false, {SYS_madvise, {PAGE, 4096, MADV_HWPOISON}}},
        {true, {SYS_futex, {PAGE, FUTEX_WAKE_PRIVATE, 1}}},
        {false, {SYS_futex, {PAGE, FUTEX_WAKE, 1}}},
        {false, {SYS_futex, {PAGE, FUTEX_CMP_REQUEUE_PI, 1}}},
        {true, {SYS_setitimer, {ITIMER_REAL, 0, 0}}},
        {true, {SYS_setitimer, {ITIMER_PROF, 0, 0}}},
        {false, {SYS_setitimer, {ITIMER_VIRTUAL, 0, 0}}},
        {true, {SYS_rt_sigaction, {SIGSEGV, 0, 0, 8}}},
        {false, {SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}}},
        {true, {SYS_prlimit64, {0, RLIMIT_DATA, PAGE, 0}}},
        {false, {SYS_prlimit64, {0, RLIMIT_DATA, 0, PAGE}}},
        {false, {SYS_prlimit64, {0, RLIMIT_NOFILE, PAGE, 0}}},
        {false, {SYS_prlimit64, {1, RLIMIT_DATA, PAGE, 0}}},
        {false, {SYS_kill, {-1, 0}}},
        {false, {SYS_tgkill, {getpid(), getpid(), 0}}},
        {false, {SYS_socket, {AF_UNIX, SOCK_STREAM, 0}}},
        {false, {SYS_clone, {SIGCHLD}}},
        {false, {SYS_prctl, {PR_SET_DUMPABLE, 1}}},
        {false, {SYS_ioctl, {STDERR_FILENO, 0x5412, PAGE}}}, /* TIOCSTI */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (is_forbidden(&rows[i].attempt) == rows[i].is_allowed) {
            fail_msg("row %zu, system call %ld, is %s", i, rows[i].attempt.number,
                     rows[i].is_allowed ? "forbidden" : "allowed");
        }
    }
}

/* ---- What is left of a process --------------------------------------------------------------- */

/* Runs `body` in a child that is not yet jailed; its status must be STATUS_DONE. */
static void in_child(void (*body)(int socket_fd, int parent))
{
    int ends[2];
    int status;
    int parent = getpid();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        body(ends[1], parent);
        _exit(0);
    }
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != STATUS_DONE) {
        fail_msg("wait status %#x", (unsigned)status);
    }
}

/* Without the filter, to look around: three descriptors and the socket, not one more. */
static void descriptors_body(int socket_fd, int parent)
{
    struct err err;
    if (dup2(STDERR_FILENO, 100) < 0 || jail_enter_cell_bare(socket_fd, parent, NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    for (int fd = 0; fd < CALLS_MAX; fd++) {
        bool is_open = fcntl(fd, F_GETFD) >= 0;
        if (is_open != (fd <= JAIL_SOCKET_FD)) {
            _exit(fd & 0x7F);
        }
    }
    _exit(STATUS_DONE);
}

static void descriptors_are_the_agreed_set(void **state)
{
    (void)state;
    in_child(descriptors_body);
}

static void orphan_body(int socket_fd, int parent)
{
    struct err err = {0};
    int result = jail_enter_cell_bare(socket_fd, parent + 1, NULL, &err);
    _exit(result != 0 && err.code == ERR_GONE ? STATUS_DONE : 0);
}

static void an_orphan_does_not_enter(void **state)
{
    (void)state;
    in_child(orphan_body);
}

/* Memory beyond the backstop is refused, not killed for; lowered limits do not rise again. */
static void memory_body(int socket_fd, int parent)
{
    struct err err;
    struct jail_limits ceilings = {.data_bytes = 1 * GIB, .cpu_s = 5};
    const struct jail_limits low = {.data_bytes = 256 * MIB, .cpu_s = 2};
    const struct jail_limits high = {.data_bytes = 2 * GIB, .cpu_s = 60};
    if (jail_drop_privileges(&err) != 0 ||
        jail_enter_cell(socket_fd, parent, &ceilings, filter, NULL, &err) != 0 ||
        jail_lower_limits(&ceilings, &low) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    long much = syscall(SYS_mmap, NULL, 512 * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_refused = much == -1 && errno == ENOMEM;
    bool stays_low = jail_lower_limits(&ceilings, &high) != 0 && errno == EPERM;
    syscall(SYS_exit_group, is_refused && stays_low ? STATUS_DONE : 0);
}

static void limits_hold_and_only_fall(void **state)
{
    (void)state;
    in_child(memory_body);
}

static bool can_open(const char *path)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool can_make(const char *path)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0;
}

/* The child is a launcher from jail_leave_host on, and ends as the zygote does. */
static void zygote_body(int socket_fd, int parent)
{
    const char *const folders[] = {zygote_folder};
    char inside[PATH_BYTES];
    char beside[PATH_BYTES];
    struct jail_report report = {0};
    struct err err;
    (void)parent;
    snprintf(inside, sizeof inside, "%s/file", zygote_folder);
    snprintf(beside, sizeof beside, "%s/other", zygote_folder);
    if (setenv("SECRET", "1", 1) != 0 || dup2(socket_fd, JAIL_SOCKET_FD) < 0 ||
        dup2(STDERR_FILENO, 100) < 0 || jail_begin(NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    bool is_closed = fcntl(100, F_GETFD) < 0;
    if (jail_leave_host(&report, &err) != 0 ||
        jail_restrict(&report, folders, 1, NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    struct rlimit core;
    bool is_readable = can_open(inside) && !can_make(beside) && !can_make(inside) &&
                       !can_open("/etc/passwd") && !can_open("/proc/self/status");
    if (jail_close(&report, NULL, NULL, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    bool is_over = !can_open(inside) && !can_open("/") && !can_make("/x");
    bool is_empty = getenv("SECRET") == NULL;
    bool has_no_core = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
    bool is_first = (report.parts & WIRE_JAIL_PID_NAMESPACE) == 0 || getpid() == 1;
    bool is_said = true; /* each part is there, or it is said why not */
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT; i++) {
        is_said = is_said && ((report.parts & 1U << i) != 0) == (report.reasons[i][0] == '\0');
    }
    is_said = is_said && (report.parts & zygote_parts) == report.parts;
    _exit(is_readable && is_over && is_closed && is_empty && has_no_core && is_first && is_said
              ? STATUS_DONE
              : 0);
}

static void zygote_reads_its_folders_and_then_nothing(void **state)
{
    (void)state;
    in_child(zygote_body);
}

/* Without anything that a default container refuses: what is left must still hold. */
static void bare_zygote_body(int socket_fd, int parent)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
    if (context == NULL || seccomp_rule_add(context, refused, SCMP_SYS(unshare), 0) != 0 ||
        seccomp_rule_add(context, refused, SCMP_SYS(mount), 0) != 0 || seccomp_load(context) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    seccomp_release(context);
    zygote_parts = WIRE_JAIL_LANDLOCK | WIRE_JAIL_NO_NEW_PRIVILEGES | WIRE_JAIL_NO_CAPABILITIES |
                   WIRE_JAIL_RESOURCE_LIMITS | WIRE_JAIL_FILTER;
    zygote_body(socket_fd, parent);
}

static void zygote_without_namespaces_reads_no_more(void **state)
{
    (void)state;
    in_child(bare_zygote_body);
}

static void nobody_body(int socket_fd, int parent)
{
    if (getuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)) {
        _exit(STATUS_OUTSIDE);
    }
    (void)prctl(PR_SET_DUMPABLE, 1); /* as after exec */
    zygote_body(socket_fd, parent);
}

static void zygote_of_an_ordinary_user_reads_no_more(void **state)
{
    (void)state;
    in_child(nobody_body);
}

/* ---- A build --------------------------------------------------------------------------------- */

static struct attempt build_attempt;

static void build_body(void)
{
    const struct jail_build_limits limits = {
        .data_bytes = UINT64_MAX, .cpu_s = 5, .file_bytes = 1 * MIB};
    const char *out_path;
    struct err err;
    if (jail_build_enter(zygote_folder, &limits, &out_path, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    const long *a = build_attempt.args;
    (void)syscall(build_attempt.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    syscall(SYS_exit_group, STATUS_DONE);
}

/* No file that would run as somebody else, and no memory that is not counted. */
static void a_build_makes_nothing_special(void **state)
{
    (void)state;
    static const struct {
        bool is_allowed;
        struct attempt attempt;
    } rows[] = {
        {true, {SYS_fchmod, {STDERR_FILENO + 1, 0644}}},
        {false, {SYS_fchmod, {STDERR_FILENO + 1, 04755}}},
        {false, {SYS_fchmod, {STDERR_FILENO + 1, 02755}}},
        {true, {SYS_openat, {AT_FDCWD, (long)"x", O_RDONLY, 0755}}},
        {false, {SYS_openat, {AT_FDCWD, (long)"x", O_WRONLY | O_CREAT, 04755}}},
        {true, {SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}}},
        {false, {SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0}}},
        {false, {SYS_chmod, {(long)"x", 0644}}},
        {false, {SYS_mkdir, {(long)"x", 0755}}},
        {false, {SYS_symlink, {(long)"x", (long)"y"}}},
        {false, {SYS_socket, {AF_UNIX, SOCK_STREAM, 0}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status;
        build_attempt = rows[i].attempt;
        pid_t pid = fork();
        if (pid == 0) {
            build_body();
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        if (is_killed == rows[i].is_allowed || (!is_killed && status != STATUS_DONE << 8)) {
            fail_msg("row %zu, system call %ld: wait status %#x", i, build_attempt.number,
                     (unsigned)status);
        }
    }
}

/* ---- vitrine-fetch --------------------------------------------------------------------------- */

/* A name below the folder of the test, which stands in for the cache. */
static const char *below(const char *name)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", zygote_folder, name);
    return path;
}

static bool can_move_between_folders(void)
{
    char from[PATH_BYTES];
    snprintf(from, sizeof from, "%s", below("a/x"));
    bool is_moved = mkdir(below("a"), 0755) == 0 && mkdir(below("b"), 0755) == 0 &&
                    can_make(from) && rename(from, below("b/x")) == 0;
    return unlink(below("b/x")) == 0 && rmdir(below("a")) == 0 && rmdir(below("b")) == 0 &&
           is_moved;
}

static bool can_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    cleanup_fd int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cleanup_fd int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(server, (struct sockaddr *)&address, len) == 0 && listen(server, 1) == 0 &&
           getsockname(server, (struct sockaddr *)&address, &len) == 0 &&
           connect(client, (struct sockaddr *)&address, len) == 0;
}

static void fetch_body(int socket_fd, int parent)
{
    static const char *const readable[] = {"/proc/version", "/nowhere"};
    static char *const program[] = {"true", NULL};
    struct err err;
    (void)socket_fd;
    (void)parent;
    if (jail_fetch_enter(zygote_folder, readable, 2, &err) != 0) {
        _exit(STATUS_OUTSIDE);
    }
    bool works = can_make(below("made")) && unlink(below("made")) == 0 &&
                 can_move_between_folders() && can_open("/etc/passwd") &&
                 can_open("/proc/version") && can_connect();
    bool is_held = !can_make("/tmp/vitrine-made-outside") && !can_open("/proc/self/environ") &&
                   !can_open("/proc/1/cmdline") && execv("/bin/true", program) != 0 &&
                   errno == EACCES && prctl(PR_GET_DUMPABLE) == 0;
    const long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    _exit(works && (is_held || abi < 2) ? STATUS_DONE : works ? 1 : 2);
}

static void fetch_writes_its_cache_and_starts_nothing(void **state)
{
    (void)state;
    in_child(fetch_body);
}

/* ---- Fixtures -------------------------------------------------------------------------------- */

/* A filter may be loaded without privileges only after no_new_privs; a cell has it from its
 * zygote. */
static int group_setup(void **state)
{
    (void)state;
    struct err err;
    char path[PATH_BYTES];
    snprintf(zygote_folder, sizeof zygote_folder, "/tmp/vitrine-jail-XXXXXX");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        jail_filter_build(NULL, &filter, &err) != 0 || mkdtemp(zygote_folder) == NULL ||
        chmod(zygote_folder, 0755) != 0) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/file", zygote_folder);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : 0;
}

static int group_teardown(void **state)
{
    char path[PATH_BYTES];
    (void)state;
    jail_filter_free(filter);
    snprintf(path, sizeof path, "%s/file", zygote_folder);
    return unlink(path) != 0 ? -1 : rmdir(zygote_folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_in_the_table_or_forbidden),
#ifdef __x86_64__
        cmocka_unit_test(other_numberings_are_forbidden),
        cmocka_unit_test(i386_calls_are_forbidden),
#endif
        cmocka_unit_test(arguments_decide),
        cmocka_unit_test(a_build_makes_nothing_special),
        cmocka_unit_test(fetch_writes_its_cache_and_starts_nothing),
        cmocka_unit_test(descriptors_are_the_agreed_set),
        cmocka_unit_test(an_orphan_does_not_enter),
        cmocka_unit_test(limits_hold_and_only_fall),
        cmocka_unit_test(zygote_reads_its_folders_and_then_nothing),
        cmocka_unit_test(zygote_without_namespaces_reads_no_more),
        cmocka_unit_test(zygote_of_an_ordinary_user_reads_no_more),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
