#include "packages_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"

/* What vitrine-precompile does, without its work: it notes how it was called, waits while ROOT/wait
 * is there, and fails for wheels whose sum begins with f0. The folder stays half full when it is
 * killed. */
static const char script[] =
    "#!/bin/sh\n"
    "root=${0%/*}\n"
    "echo \"$1 $$\" >> $root/built\n"
    "if [ $1 = wheel ]; then out=$3; what=wheel; else out=$2; what=packages; fi\n"
    "echo half > $out/$what.img\n"
    "while [ -e $root/wait ]; do sleep 0.02; done\n"
    "case \"$*\" in *sha256\\ f0*) echo 'vitrine-precompile: error: a bad "
    "wheel' >&2; exit 1;; esac\n"
    "echo whole > $out/$what.img\n"
    ": > $out/modules\n"
    "if [ $1 = environment ]; then\n"
    "  while [ $1 != --about ]; do shift; done\n"
    "  cp \"$2\" $out/environment.json\n"
    "fi\n";

static const char lock[] =
    "{\"packages\":{"
    "\"alpha\":{\"name\":\"alpha\",\"version\":\"1.0\",\"sha256\":\"" SUM_A
    "\",\"file_name\":\"alpha-1.0-py3-none-any.whl\",\"imports\":[\"alpha\",\"_alpha.x\"]},"
    "\"beta\":{\"name\":\"Beta\",\"version\":\"2\",\"sha256\":\"" SUM_B
    "\",\"file_name\":\"beta-2-py3-none-any.whl\",\"imports\":[\"beta; evil\"]},"
    "\"alpha-tests\":{\"name\":\"alpha-tests\",\"version\":\"1.0\",\"sha256\":\"" SUM_B
    "\",\"file_name\":\"alpha-tests.tar\",\"imports\":[]}}}";

static void join(char *out, const struct fixture *fixture, const char *name)
{
    (void)snprintf(out, PATH_MAX, "%s/%s", fixture->root, name);
}

void fixture_write(const struct fixture *fixture, const char *name, const char *text)
{
    char path[PATH_MAX];
    join(path, fixture, name);
    assert_int_equal(fd_write_file(path, span_of(text), NULL), 0);
}

const char *fixture_read(const struct fixture *fixture, const char *name)
{
    static struct buf text;
    char path[PATH_MAX];
    buf_free(&text);
    buf_init(&text, 1 << 20);
    join(path, fixture, name);
    if (fd_read_file(path, &text, NULL) != 0) {
        return "";
    }
    assert_int_equal(buf_append_char(&text, '\0'), 0);
    return text.base;
}

bool fixture_has(const struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    join(path, fixture, name);
    return access(path, F_OK) == 0;
}

unsigned fixture_entries(const struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    unsigned count = 0;
    join(path, fixture, name);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        count += entry->d_name[0] == '.' ? 0 : 1;
    }
    (void)closedir(stream);
    return count;
}

unsigned fixture_count(const struct fixture *fixture, const char *name, const char *words)
{
    unsigned count = 0;
    for (const char *at = fixture_read(fixture, name); at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        count += strncmp(at, words, strlen(words)) == 0 ? 1 : 0;
        if (*at == '\0') {
            break;
        }
    }
    return count;
}

void fixture_make(struct fixture *fixture)
{
    *fixture = (struct fixture){.root = "/tmp/vitrine-packages-XXXXXX"};
    assert_non_null(mkdtemp(fixture->root));
    join(fixture->cache, fixture, "cache");
    join(fixture->guest, fixture, "guest");
    join(fixture->precompile, fixture, "precompile");
    fixture->fetch = getenv("VITRINE_FAKE_FETCH");
    assert_non_null(fixture->fetch);
    assert_int_equal(mkdir(fixture->guest, 0700), 0);
    fixture_write(fixture, "guest/key", "0123456789abcdef\n");
    fixture_write(fixture, "guest/id", "fedcba9876543210\n");
    fixture_write(fixture, "guest/pyodide-lock.json", lock);
    fixture_write(fixture, "guest/distribution", "https://cdn.test/\nindex:one\n");
    fixture_write(fixture, "precompile", script);
    assert_int_equal(chmod(fixture->precompile, 0700), 0);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void fixture_remove(struct fixture *fixture)
{
    assert_int_equal(nftw(fixture->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* only so that the loop turns */
}

static void run_until(uv_loop_t *loop, const bool *flag, unsigned ms, bool must_be_set)
{
    uv_timer_t tick;
    uint64_t end_us = clock_monotonic_us() + (uint64_t)ms * 1000;
    uv_timer_init(loop, &tick);
    uv_timer_start(&tick, on_tick, 0, 10);
    while ((flag == NULL || !*flag) && clock_monotonic_us() < end_us) {
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    assert_true(!must_be_set || *flag);
}

void fixture_wait(uv_loop_t *loop, const bool *flag)
{
    run_until(loop, flag, 10000, true);
}

void fixture_run_ms(uv_loop_t *loop, unsigned ms)
{
    run_until(loop, NULL, ms, false);
}
