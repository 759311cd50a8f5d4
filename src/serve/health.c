/* Whether the server takes requests: for load balancers and whatever starts it again. */
#include "base/clock.h"
#include "base/limits.h"
#include "serve/http.h"
#include "serve/reply.h"

enum { HEALTH_BYTES_MAX = 512 };

void health_get(struct http_serve *serve, struct http_exchange *exchange)
{
    bool is_draining = serve->core.is_draining || serve->core.is_ending;
    bool is_ready = !is_draining && pool_info(serve->core.pool).ready;
    struct buf text;
    buf_init(&text, HEALTH_BYTES_MAX);
    if (buf_append_format(&text, "{\"status\":\"%s\",\"version\":\"%s\",\"uptime_s\":%llu}\n",
                          is_draining ? "draining"
                          : is_ready  ? "ready"
                                      : "starting",
                          VITRINE_VERSION,
                          (unsigned long long)(clock_monotonic_us() - serve->started_us) /
                              1000000) != 0) {
        buf_free(&text);
    }
    reply_text(exchange, is_ready ? 200 : 503, "application/json", &text);
}
