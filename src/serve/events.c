#include "serve/events.h"

#include <stdlib.h>

#include "base/limits.h"

void events_init(struct events *events, struct events_budget *budget)
{
    *events = (struct events){.budget = budget};
    TAILQ_INIT(&events->list);
}

static void drop(struct events *events, struct event *event)
{
    TAILQ_REMOVE(&events->list, event, link);
    events->bytes -= event->bytes.len;
    events->budget->bytes -= event->bytes.len;
    events->count--;
    buf_free(&event->bytes);
    free(event);
}

void events_free(struct events *events)
{
    while (!TAILQ_EMPTY(&events->list)) {
        drop(events, TAILQ_FIRST(&events->list));
    }
}

void events_drop(struct events *events, uint32_t stream)
{
    struct event *next;
    for (struct event *event = TAILQ_FIRST(&events->list); event != NULL; event = next) {
        next = TAILQ_NEXT(event, link);
        if (event->id.stream == stream) {
            drop(events, event);
        }
    }
}

static bool fits(const struct events *events, size_t len)
{
    const struct events_budget *budget = events->budget;
    return events->count < LIMIT_SESSION_EVENTS_MAX &&
           len <= LIMIT_SESSION_EVENT_BYTES_MAX - events->bytes &&
           len <= budget->bytes_max - budget->bytes;
}

static bool make_room(struct events *events, size_t len)
{
    struct event *next;
    for (struct event *event = TAILQ_FIRST(&events->list); event != NULL && !fits(events, len);
         event = next) {
        next = TAILQ_NEXT(event, link);
        if (event->is_given) {
            drop(events, event);
        }
    }
    return fits(events, len);
}

bool events_keep(struct events *events, struct sse_id id, struct span framed, bool is_given)
{
    if (!make_room(events, framed.len)) {
        return false;
    }
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        return false;
    }
    event->id = id;
    event->is_given = is_given;
    buf_init(&event->bytes, framed.len);
    if (buf_append(&event->bytes, framed.base, framed.len) != 0) {
        free(event);
        return false;
    }
    TAILQ_INSERT_TAIL(&events->list, event, link);
    events->bytes += framed.len;
    events->budget->bytes += framed.len;
    events->count++;
    return true;
}

struct event *events_after(const struct events *events, struct sse_id id, bool only_new)
{
    struct event *event;
    TAILQ_FOREACH(event, &events->list, link)
    {
        if (event->id.stream == id.stream && event->id.event > id.event &&
            !(only_new && event->is_given)) {
            return event;
        }
    }
    return NULL;
}
