/* Names that nobody can guess. Used by `vitrine`. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

enum { RANDOM_ID_BYTES_MAX = 32 };

/* Writes `bytes` (at most RANDOM_ID_BYTES_MAX) of the system's random bytes as hexadecimal digits,
 * two for each, and a NUL behind them. 0, or -1 with errno. */
int random_id(char *out, size_t bytes);

#endif
