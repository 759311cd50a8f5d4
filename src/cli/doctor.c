/* vitrine doctor: what there is, what is missing, and what to do about it. Nothing is fetched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/doctor_system.h"
#include "cli/findings.h"
#include "cli/parts.h"
#include "cli/progress.h"

enum { REPORT_BYTES_MAX = 256 * 1024 };

static const char build_advice[] = "run `make build`, or install Vitrine again";

/* Each program has limits of its own all the same. */
static const char delegate_advice[] =
    "for limits on all programs together: systemd-run --user --scope -p Delegate=yes vitrine ..., "
    "Delegate=yes in a service, or --cgroup DIR";

struct doctor {
    const struct options *options;
    struct findings findings;
    struct parts parts;
    uv_loop_t loop;
    struct pool *pool;
    uint64_t started_us;
};

/* ---- Programs and folders -------------------------------------------------------------------- */

static void program_add(struct findings *findings, const char *name, const char *path)
{
    bool is_there = access(path, X_OK) == 0;
    findings_add(findings, "Programs", name, is_there ? FINDING_GOOD : FINDING_BAD,
                 is_there ? NULL : build_advice, "%s", path);
}

static void cache_add(struct findings *findings, const char *path)
{
    struct statvfs disk;
    if (access(path, F_OK) != 0) {
        findings_add(findings, "Programs", "cache", FINDING_INFO, NULL,
                     "%s: is made when packages are first needed", path);
    } else if (access(path, W_OK) != 0 || statvfs(path, &disk) != 0) {
        findings_add(findings, "Programs", "cache", FINDING_BAD,
                     "name a folder of your own with --cache-dir or VITRINE_CACHE",
                     "%s: cannot be written", path);
    } else {
        findings_add(findings, "Programs", "cache", FINDING_GOOD, NULL, "%s (%llu MiB free)", path,
                     (unsigned long long)disk.f_bavail * disk.f_frsize / MIB);
    }
}

static void programs_add(struct doctor *doctor)
{
    struct findings *findings = &doctor->findings;
    findings_add(findings, "Programs", "vitrine", FINDING_GOOD, NULL, VITRINE_VERSION);
    program_add(findings, "vitrine-cell", doctor->parts.cell_path);
    program_add(findings, "vitrine-fetch", doctor->parts.fetch_path);
    program_add(findings, "vitrine-precompile", doctor->parts.precompile_path);
    findings_add(findings, "Programs", "guest", FINDING_GOOD, NULL, "%s", doctor->parts.guest_dir);
    cache_add(findings, doctor->parts.cache_dir);
}

/* ---- The jail -------------------------------------------------------------------------------- */

static void jail_add(struct doctor *doctor, const struct pool_jail *jail)
{
    struct findings *findings = &doctor->findings;
    if (!jail->is_known) {
        findings_add(findings, "Jail", "all of it", FINDING_BAD, NULL, "the sandbox did not say");
    }
    for (unsigned i = 0; jail->is_known && i < WIRE_JAIL_PARTS_COUNT; i++) {
        const uint32_t part = 1U << i;
        bool is_there = (jail->parts & part) != 0;
        findings_add(findings, "Jail", pool_jail_name(part), is_there ? FINDING_GOOD : FINDING_BAD,
                     is_there ? NULL : pool_jail_advice(part), "%s", jail->reasons[i]);
    }
    while (findings->reached > POOL_JAIL_FULL &&
           pool_jail_lacking(findings->reached - 1, jail->parts) == 0) {
        findings->reached--;
    }
}

static void cgroup_add(struct doctor *doctor, const struct pool_cgroup *cgroup)
{
    static const char *const names[] = {"memory", "processes", "processor share"};
    struct findings *findings = &doctor->findings;
    if (parts_cgroup(doctor->options) == NULL) {
        findings_add(findings, "Control group", "all", FINDING_INFO, NULL, "none (--cgroup off)");
        return;
    }
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        bool is_there = (cgroup->limits & 1U << i) != 0;
        findings_add(findings, "Control group", names[i], is_there ? FINDING_GOOD : FINDING_INFO,
                     is_there ? NULL : delegate_advice, "%s",
                     is_there ? cgroup->where : cgroup->reason);
    }
}

/* ---- A first run ----------------------------------------------------------------------------- */

static void on_closed(void *context)
{
    (void)context;
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct doctor *doctor = context;
    struct findings *findings = &doctor->findings;
    const struct pool_info info = pool_info(doctor->pool);
    const uint64_t total_us = clock_monotonic_us() - doctor->started_us;
    findings->is_run_good =
        outcome->status == OUTCOME_SUCCESS && span_equal(outcome->value_json, span_of("42"));
    findings->start_us = info.boot_us;
    findings->run_us = outcome->wall_us;
    if (findings->is_run_good) {
        findings_add(findings, "A first run", "Python", FINDING_GOOD, NULL, "%s on %s",
                     info.python_version, info.engine_version);
        findings_add(findings, "A first run", "time", FINDING_GOOD, NULL,
                     "%.1f ms, of which the interpreter took %.1f ms to be ready",
                     (double)total_us / 1000, (double)info.boot_us / 1000);
    } else {
        findings_add(findings, "A first run", "6 * 7", FINDING_BAD, build_advice, "%s: %.*s",
                     outcome_status_name(outcome->status), (int)outcome->error_message.len,
                     outcome->error_message.base);
    }
    jail_add(doctor, &info.jail);
    cgroup_add(doctor, &info.cgroup);
    pool_close(doctor->pool, on_closed, NULL);
}

static int run_first(struct doctor *doctor, struct err *err)
{
    const struct run_request request = {
        .code = span_of("6 * 7"), .want_value = true, .limits = run_limits_default()};
    const struct run_events events = {.context = doctor, .done = on_done};
    /* With whatever jail there is: the levels are compared afterwards. */
    const struct pool_config config = {.cell_path = doctor->parts.cell_path,
                                       .guest_dir = doctor->parts.guest_dir,
                                       .cells_max = 1,
                                       .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
                                       .require_jail = POOL_JAIL_NONE,
                                       .cgroup = parts_cgroup(doctor->options)};
    struct pool_run *run;
    doctor->started_us = clock_monotonic_us();
    uv_loop_init(&doctor->loop);
    int result = pool_new(&doctor->loop, &config, &doctor->pool, err);
    if (result == 0) {
        result = pool_run(doctor->pool, &request, &events, &run, err);
        if (result != 0) {
            pool_close(doctor->pool, on_closed, NULL);
        }
        uv_run(&doctor->loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(&doctor->loop);
    return result;
}

/* ---- Packages -------------------------------------------------------------------------------- */

static void packages_add(struct doctor *doctor)
{
    static const char group[] = "Packages";
    const struct options *options = doctor->options;
    struct findings *findings = &doctor->findings;
    const char *own = getenv("PIP_INDEX_URL");
    findings_add(findings, group, "network", FINDING_INFO, NULL, "%s",
                 options->is_offline ? "never used (--offline)" : "used when packages are missing");
    findings_add(findings, group, "index", FINDING_INFO, NULL, "%s%s",
                 options->index_urls.count > 0 ? "those of --index-url, then " : "",
                 own != NULL && *own != '\0' ? "the one in PIP_INDEX_URL"
                                             : "the one that pip uses on this machine");
    findings_add(findings, group, "mirrors", FINDING_INFO, NULL, "%u besides the usual ones",
                 options->mirrors.count);
}

/* ---- The command ----------------------------------------------------------------------------- */

static int print(const struct doctor *doctor)
{
    cleanup_buf struct buf text;
    buf_init(&text, REPORT_BYTES_MAX);
    bool has_color =
        progress_wants_color((enum color_choice)doctor->options->color, isatty(STDOUT_FILENO) == 1);
    int failed = doctor->options->json ? findings_append_json(&text, &doctor->findings)
                                       : findings_append_text(&text, &doctor->findings, has_color);
    if (failed != 0) {
        log_error("out of memory");
        return EXIT_OURS;
    }
    if (fd_write_full(STDOUT_FILENO, text.base, text.len) != 0) {
        return EXIT_UNREAD;
    }
    return findings_are_good(&doctor->findings) ? 0 : 1;
}

int command_doctor(const struct options *options)
{
    static struct doctor doctor;
    struct err err;
    doctor.options = options;
    doctor.findings.required = (enum pool_jail_level)options->require_jail;
    doctor.findings.reached = POOL_JAIL_NONE;
    if (parts_find(options, &doctor.parts, &err) != 0) {
        findings_add(&doctor.findings, "Programs", "parts", FINDING_BAD, build_advice, "%s",
                     err.text);
    } else {
        programs_add(&doctor);
        if (run_first(&doctor, &err) != 0) {
            findings_add(&doctor.findings, "A first run", "6 * 7", FINDING_BAD, build_advice, "%s",
                         err.text);
        }
    }
    doctor_system(&doctor.findings);
    packages_add(&doctor);
    return print(&doctor);
}
