/*
 * Exception lowering: from WebAssembly's legacy exception encoding (try, catch, catch_all, rethrow,
 * delegate), which Emscripten's toolchain still writes, to the standard one (try_table, throw_ref,
 * exnref), which the engine takes. A pure function from bytes to bytes; used when a module is
 * precompiled, never while a guest runs.
 *
 * The rewriting is local. A function without legacy exceptions keeps its bytes; in one that has
 * them, each `try` becomes a `try_table` inside one block for each of its handlers, branch depths
 * are shifted by the blocks that came in between, and an exception that is rethrown waits in a
 * fresh local:
 *
 *     try T                          block T
 *       BODY                           block (result i32 exnref)
 *     catch $tag                         try_table T (catch_ref $tag 0)
 *       HANDLER ... rethrow 0   =>         BODY
 *     end                                end
 *                                        br 1
 *                                      end
 *                                      local.set $exception
 *                                      HANDLER ... local.get $exception, throw_ref
 *                                    end
 *
 * An exception that is delegated past the handlers around it is caught as an exnref and thrown
 * again inside the body of the try it is delegated to, or at the end of the function.
 *
 * Sources: the WebAssembly specification 3.0 (binary format, try_table); the legacy encoding as the
 * exception handling proposal's document "Legacy Exceptions" has it.
 *
 * The input may be hostile: it is decoded as far as the rewriting needs it and no further, so the
 * output is valid when the input was, and the engine is who judges that.
 */
#ifndef GUEST_DYLINK_LOWER_H
#define GUEST_DYLINK_LOWER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/*
 * Appends the lowered module to `out`. A module without legacy exceptions is appended unchanged.
 * In a changed one, custom sections that hold offsets into the code (.debug_*, metadata.code.*,
 * linking, reloc.*, source maps) are left out; every other section but type and code is copied.
 *
 * Returns 0, or -1 with `out` as it was: ERR_FORMAT (the text has the byte offset), ERR_LIMIT (a
 * cap of limits.h or out->bytes_max), ERR_MEMORY.
 */
int lower_exceptions(struct span module, struct buf *out, struct err *err);

/* Whether some function of the module uses the legacy encoding. Returns 0 or -1 as above. */
int lower_needed(struct span module, bool *needed, struct err *err);

#endif
