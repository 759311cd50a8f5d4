/*
 * Whether the jail of a zygote is enough. Runs in `vitrine`.
 *
 * A zygote says what it could have of its jail (WIRE_JAILED) before anything of a guest's runs in
 * it. What is asked for is one of three levels; which parts each needs is decided here alone, and
 * docs/THREAT_MODEL.md says why.
 */
#ifndef POOL_JAIL_H
#define POOL_JAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/wire.h"

/* In the order of --require-jail; a configuration that says nothing asks for everything. */
enum pool_jail_level {
    POOL_JAIL_FULL,    /* what is out of reach is so twice: not to be asked for, and not there */
    POOL_JAIL_SECCOMP, /* a filter of system calls, no privileges, resource limits */
    POOL_JAIL_NONE,
};

enum { POOL_JAIL_REASON_MAX = 96 };

struct pool_jail {
    bool is_known;
    uint32_t parts;                                            /* bits of enum wire_jail */
    char reasons[WIRE_JAIL_PARTS_COUNT][POOL_JAIL_REASON_MAX]; /* of the others; printable ASCII */
};

/* Reads a record of enum wire_jailed_field. -1 when it is none. */
int pool_jail_read(struct span record, struct pool_jail *out);

/* Which parts are missing for a level. Of two that stand in for each other, both or neither. */
uint32_t pool_jail_lacking(enum pool_jail_level level, uint32_t parts);

/* 0 when the jail is enough; else -1, with what is missing, why, and what to do. */
int pool_jail_check(enum pool_jail_level level, const struct pool_jail *jail, struct err *err);

/* Names of parts, and of levels, as people read them. `part` is one bit. */
const char *pool_jail_name(uint32_t part);
const char *pool_jail_level_name(enum pool_jail_level level);

/* What to do about a part that is missing, in one sentence. */
const char *pool_jail_advice(uint32_t part);

/* Appends "complete", or "without A, B (what the system said); `vitrine doctor` says more". */
int pool_jail_append(struct buf *out, const struct pool_jail *jail);

#endif
