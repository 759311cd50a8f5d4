/*
 * The language of the probe: what native code would do that has broken out of the engine. One
 * command a line; each that lives to tell prints a line, so that what is missing tells too.
 *
 *   call NUMBER ARG...    a system call, past the C library: "call NUMBER: RESULT", -errno if it
 * failed int80 NUMBER ARG...   the same by the numbering of i386 keep N                keeps the
 * last result as rN           print TEXT peek ARG LEN          memory, in hex poke ARG ARG LEN
 * copies there jump ARG              runs what is there: "jump: back"      sleep MS environment one
 * line for each variable            registers of numbers: r0 to r9 try COMMAND           COMMAND in
 * a forked child: "try: STATUS", a wait status; and what it says
 *
 * ARG is a number, rN, $ (the last result), @page (64 KiB to write in), @code (a function that
 * returns), @code_page (where its page begins), @pid, @parent, 'TEXT or #HEX (the address of these
 * bytes, with a NUL behind them).
 */
#ifndef PROBE_H
#define PROBE_H

#include "base/span.h"

/* Where lines go: through the cell's sink or, in a zygote, to standard error. */
struct probe_voice {
    void *context;
    void (*say)(void *context, struct span line); /* with its newline */
};

/* Runs each line of the script. */
void probe_run(const struct probe_voice *voice, struct span script);

#endif
