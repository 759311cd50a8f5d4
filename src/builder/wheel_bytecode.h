/*
 * Bytecode of a wheel's sources, made by guests in processes beside the build: one for each core,
 * each in a cell's own jail, each with the wheel open on its own. They compile sources and never
 * run them; what they make lies in memory that they share with the build, and is optional: a module
 * without bytecode is compiled when it is imported.
 */
#ifndef BUILDER_WHEEL_BYTECODE_H
#define BUILDER_WHEEL_BYTECODE_H

#include "base/err.h"
#include "base/span.h"
#include "guest/vfs/image.h"

struct wheel_bytecode;

struct wheel_bytecode_config {
    const char *guest_dir;
    const struct image *library; /* all are borrowed until wheel_bytecode_free */
    struct span wheel;
    const char *filename;
};

/* Forks, before this process is jailed and has threads. *out is owned by the caller. */
int wheel_bytecode_start(const struct wheel_bytecode_config *config, struct wheel_bytecode **out,
                         struct err *err);

/* Waits for the processes; says on standard error when they did not get through. */
void wheel_bytecode_wait(struct wheel_bytecode *bytecode);

/* The bytecode of a file of the wheel; empty when there is none. Borrowed. */
struct span wheel_bytecode_of(const struct wheel_bytecode *bytecode, size_t index);

void wheel_bytecode_free(struct wheel_bytecode *bytecode);

#endif
