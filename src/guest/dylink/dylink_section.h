/*
 * Reads the custom section dylink.0, in which the toolchain says what a side module needs to be
 * linked. Source: WebAssembly/tool-conventions, DynamicLinking.md.
 */
#ifndef GUEST_DYLINK_DYLINK_SECTION_H
#define GUEST_DYLINK_DYLINK_SECTION_H

#include "guest/dylink/record_write.h"

/*
 * Fills the draft's needs, libraries, run paths and weak imports; texts are borrowed from `wasm`.
 * `unmoved` (of struct span) gets, sorted, the names of exported data that do not lie at an offset
 * from the memory base: thread-local and absolute ones. -1: ERR_FORMAT when the section is missing
 * or malformed, ERR_LIMIT when it asks for more than a guest may have.
 */
int dylink_section_read(struct span wasm, struct record_draft *draft, struct buf *unmoved,
                        struct err *err);

#endif
