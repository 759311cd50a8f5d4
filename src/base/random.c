#include "base/random.h"

#include <assert.h>
#include <sys/random.h>

int random_id(char *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[RANDOM_ID_BYTES_MAX];
    assert(bytes <= sizeof random);
    if (getrandom(random, bytes, 0) != (ssize_t)bytes) {
        return -1;
    }
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = digits[random[i] >> 4];
        out[2 * i + 1] = digits[random[i] & 15];
    }
    out[2 * bytes] = '\0';
    return 0;
}
