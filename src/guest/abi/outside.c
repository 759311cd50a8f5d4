#include "guest/abi/outside.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S 1000000000ULL

uint64_t outside_clock_ns(enum outside_clock clock)
{
    static const clockid_t ids[] = {
        [OUTSIDE_REALTIME] = CLOCK_REALTIME,
        [OUTSIDE_MONOTONIC] = CLOCK_MONOTONIC,
        [OUTSIDE_CPU] = CLOCK_PROCESS_CPUTIME_ID,
    };
    struct timespec now;
    int result = clock_gettime(ids[clock], &now);
    assert(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void outside_random(void *out, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = getrandom((char *)out + done, len - done, 0);
        assert(n > 0 || errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
}

void outside_sleep_ns(uint64_t ns)
{
    struct timespec wait = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
}
