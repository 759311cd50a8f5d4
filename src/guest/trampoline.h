/*
 * The call trampoline: a WebAssembly module of ours, as bytes. CPython calls C functions of one,
 * two or no parameters as if they had three; WebAssembly checks that. This module looks at the
 * table entry's type (ref.test) and calls with what it takes:
 *
 *   (func $call (param $known i32) (param $function i32) (param $a i32) (param $b i32) (param $c
 * i32) (result i32))
 *
 * writes 1 to *known and gives the result, or writes 0 when the entry has none of the four types.
 */
#ifndef GUEST_TRAMPOLINE_H
#define GUEST_TRAMPOLINE_H

#include "base/span.h"

/* Imports: memory "m" "m", table "m" "t". Exports: "call". Static. */
extern const struct span guest_trampoline;

#endif
