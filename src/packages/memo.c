#include "packages/memo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/limits.h"

struct item {
    TAILQ_ENTRY(item) link; /* most recently used first */
    struct item *next;      /* with the same bucket */
    uint8_t key[SUM_BYTES];
    struct memo_entry entry;
    char text[]; /* of entry.resolved */
};

struct memo {
    TAILQ_HEAD(item_list, item) items;
    size_t count;
    struct item *buckets[LIMIT_REMEMBERED_MAX];
};

struct memo *memo_new(void)
{
    struct memo *memo = calloc(1, sizeof *memo);
    if (memo != NULL) {
        TAILQ_INIT(&memo->items);
    }
    return memo;
}

/* Keys are digests: any of their bits are as good as a hash. */
static struct item **bucket_of(struct memo *memo, const uint8_t key[SUM_BYTES])
{
    return &memo->buckets[(key[0] | (unsigned)key[1] << 8) % LIMIT_REMEMBERED_MAX];
}

static struct item *find(struct memo *memo, const uint8_t key[SUM_BYTES])
{
    struct item *item = *bucket_of(memo, key);
    while (item != NULL && memcmp(item->key, key, SUM_BYTES) != 0) {
        item = item->next;
    }
    return item;
}

static void drop(struct memo *memo, struct item *item)
{
    struct item **place = bucket_of(memo, item->key);
    while (*place != item) {
        place = &(*place)->next;
    }
    *place = item->next;
    TAILQ_REMOVE(&memo->items, item, link);
    memo->count--;
    store_environment_unref(item->entry.environment);
    free(item);
}

void memo_free(struct memo *memo)
{
    struct item *item;
    while (memo != NULL && (item = TAILQ_FIRST(&memo->items)) != NULL) {
        drop(memo, item);
    }
    free(memo);
}

const struct memo_entry *memo_find(struct memo *memo, const uint8_t key[SUM_BYTES], time_t now)
{
    struct item *item = find(memo, key);
    if (item == NULL) {
        return NULL;
    }
    if (now >= item->entry.until) {
        drop(memo, item);
        return NULL;
    }
    TAILQ_REMOVE(&memo->items, item, link);
    TAILQ_INSERT_HEAD(&memo->items, item, link);
    return &item->entry;
}

void memo_put(struct memo *memo, const uint8_t key[SUM_BYTES], const struct memo_entry *entry)
{
    struct item *item = malloc(sizeof *item + entry->resolved.len);
    if (item == NULL) {
        return;
    }
    memcpy(item->key, key, SUM_BYTES);
    item->entry = *entry;
    item->entry.environment = store_environment_ref(entry->environment);
    item->entry.resolved.base = item->text;
    if (entry->resolved.len > 0) {
        memcpy(item->text, entry->resolved.base, entry->resolved.len);
    }
    struct item *old = find(memo, key);
    if (old != NULL) {
        drop(memo, old);
    }
    if (memo->count == LIMIT_REMEMBERED_MAX) {
        drop(memo, TAILQ_LAST(&memo->items, item_list));
    }
    struct item **bucket = bucket_of(memo, key);
    item->next = *bucket;
    *bucket = item;
    TAILQ_INSERT_HEAD(&memo->items, item, link);
    memo->count++;
}

void memo_forget(struct memo *memo, const struct environment *environment)
{
    struct item *item = TAILQ_FIRST(&memo->items);
    while (item != NULL) {
        struct item *next = TAILQ_NEXT(item, link);
        if (item->entry.environment == environment) {
            drop(memo, item);
        }
        item = next;
    }
}
