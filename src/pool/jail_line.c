#include "pool/jail_line.h"

#include "base/log.h"

enum { LINE_BYTES_MAX = 2048 };

void jail_line_say(const struct pool_jail *jail, bool is_server)
{
    cleanup_buf struct buf line;
    buf_init(&line, LINE_BYTES_MAX);
    if (!jail->is_known || pool_jail_append(&line, jail) != 0) {
        return;
    }
    bool is_worth_it = is_server && (WIRE_JAIL_ALL & ~jail->parts) != 0;
    log_write(is_worth_it ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "jail: %.*s", (int)line.len,
              line.base);
}
