#include "guest/dylink/names.h"

#include <stdlib.h>

int names_compare(struct span a, struct span b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.base, b.base, shared);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b)
{
    return names_compare(*(const struct span *)a, *(const struct span *)b);
}

void names_sort(struct buf *names)
{
    if (names->len > 0) {
        qsort(names->base, names->len / sizeof(struct span), sizeof(struct span), compare);
    }
}

bool names_have(const struct buf *names, struct span name)
{
    size_t count = names->len / sizeof(struct span);
    return count > 0 && bsearch(&name, names->base, count, sizeof(struct span), compare) != NULL;
}
