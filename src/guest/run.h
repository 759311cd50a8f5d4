/* Running the guest: private to src/guest. */
#ifndef GUEST_RUN_H
#define GUEST_RUN_H

#include <stddef.h>
#include <stdint.h>

/* What is behind the guest's standard output and error: the sink of the run under way, or, while
 * booting, this process's own standard error. `context` is the guest. */
int64_t guest_write_stdout(void *context, const char *bytes, size_t len);
int64_t guest_write_stderr(void *context, const char *bytes, size_t len);

#endif
