/* What zygotes and cells have of memory, as far as the system tells: private to src/pool. */
#ifndef POOL_MEASURE_H
#define POOL_MEASURE_H

#include <stdint.h>

struct zygote;

/* What would be free without the zygote. A guess when the system is silent. */
uint64_t measure_zygote(const struct zygote *zygote);

/* What the newest cell of the zygote, a spare one, has for itself. A guess as well. */
uint64_t measure_newest_cell(const struct zygote *zygote);

#endif
