/* What `vitrine warmup` prepares when nothing is asked for. Runs in `vitrine`. */
#ifndef CLI_FIRST_NEEDS_H
#define CLI_FIRST_NEEDS_H

#include <stddef.h>

enum { FIRST_NEED_REQUIREMENTS_MAX = 3 };

struct first_need {
    const char
        *requirements[FIRST_NEED_REQUIREMENTS_MAX + 1]; /* NULL-terminated: one environment */
    const char *why;
};
extern const struct first_need first_needs[];
extern const size_t first_need_count;

#endif
