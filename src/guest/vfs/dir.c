/* The names of one directory in the writable layer: an array in order of making, which gives
 * listings stable positions, and a hash table over it. Dead entries stay until the array is full;
 * then it is rebuilt, so it is never more than about twice what lives. */
#include <assert.h>
#include <stdlib.h>

#include "guest/vfs/tree.h"

enum { ENTRIES_FIRST = 8, NAMES_FIRST = 128 };

struct dir *dir_new(uint32_t parent)
{
    struct dir *dir = calloc(1, sizeof *dir);
    if (dir != NULL) {
        dir->parent = parent;
    }
    return dir;
}

void dir_free(struct dir *dir)
{
    if (dir == NULL) {
        return;
    }
    free(dir->entries);
    free(dir->slots);
    free(dir->names);
    free(dir);
}

uint32_t dir_hash(struct span name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.base[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

struct span dir_name(const struct dir *dir, const struct entry *entry)
{
    return (struct span){dir->names + entry->name_offset, entry->name_len};
}

struct entry *dir_find(const struct dir *dir, struct span name)
{
    if (dir->count == 0) {
        return NULL;
    }
    uint32_t hash = dir_hash(name);
    uint32_t mask = dir->slot_count - 1;
    for (uint32_t slot = hash & mask; dir->slots[slot] != 0; slot = (slot + 1) & mask) {
        struct entry *entry = &dir->entries[dir->slots[slot] - 1];
        if (entry->hash == hash && (entry->flags & ENTRY_DEAD) == 0 &&
            span_equal(dir_name(dir, entry), name)) {
            return entry;
        }
    }
    return NULL;
}

static void put_slot(struct dir *dir, uint32_t place)
{
    uint32_t mask = dir->slot_count - 1;
    uint32_t slot = dir->entries[place].hash & mask;
    while (dir->slots[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    dir->slots[slot] = place + 1;
}

/* Closes the gaps of dead entries. Names lie in the order of the entries, so each moves down. */
static void drop_dead(struct dir *dir)
{
    uint32_t kept = 0;
    uint32_t names_len = 0;
    for (uint32_t i = 0; i < dir->count; i++) {
        struct entry entry = dir->entries[i];
        if ((entry.flags & ENTRY_DEAD) != 0) {
            continue;
        }
        memmove(dir->names + names_len, dir->names + entry.name_offset, entry.name_len);
        entry.name_offset = names_len;
        names_len += entry.name_len;
        dir->entries[kept++] = entry;
    }
    dir->count = kept;
    dir->names_len = names_len;
    dir->dead = 0;
}

/* Makes room in the entries; slots are twice as many, so at most half full. */
static int rebuild(struct dir *dir)
{
    uint32_t capacity = dir->capacity;
    if (capacity == 0) {
        capacity = ENTRIES_FIRST;
    } else if (dir->dead < dir->count / 2) {
        capacity *= 2;
    }
    if (capacity != dir->capacity) {
        uint32_t *slots = calloc((size_t)capacity * 2, sizeof *slots);
        struct entry *entries = reallocarray(dir->entries, capacity, sizeof *entries);
        if (entries != NULL) {
            dir->entries = entries;
        }
        if (slots == NULL || entries == NULL) {
            free(slots);
            return -GUEST_ENOMEM;
        }
        free(dir->slots);
        dir->slots = slots;
        dir->slot_count = capacity * 2;
        dir->capacity = capacity;
    } else {
        memset(dir->slots, 0, dir->slot_count * sizeof *dir->slots);
    }
    drop_dead(dir);
    for (uint32_t i = 0; i < dir->count; i++) {
        put_slot(dir, i);
    }
    return 0;
}

int dir_reserve(struct dir *dir, size_t name_len)
{
    if (dir->count == dir->capacity && rebuild(dir) != 0) {
        return -GUEST_ENOMEM;
    }
    if (dir->names_len + name_len > dir->names_capacity) {
        uint32_t capacity = dir->names_capacity == 0 ? NAMES_FIRST : dir->names_capacity;
        while (capacity < dir->names_len + name_len) {
            capacity *= 2;
        }
        char *names = realloc(dir->names, capacity);
        if (names == NULL) {
            return -GUEST_ENOMEM;
        }
        dir->names = names;
        dir->names_capacity = capacity;
    }
    return 0;
}

struct entry *dir_put(struct dir *dir, struct span name, uint32_t inode, uint8_t flags)
{
    assert(name.len > 0 && name.len <= LIMIT_NAME_BYTES_MAX);
    struct entry *entry = dir_find(dir, name);
    if (entry != NULL) {
        entry->inode = inode;
        entry->flags = flags;
        return entry;
    }
    if (dir_reserve(dir, name.len) != 0) {
        return NULL;
    }
    entry = &dir->entries[dir->count];
    *entry = (struct entry){.cookie = dir->next_cookie++,
                            .inode = inode,
                            .name_offset = dir->names_len,
                            .hash = dir_hash(name),
                            .name_len = (uint8_t)name.len,
                            .flags = flags};
    memcpy(dir->names + dir->names_len, name.base, name.len);
    dir->names_len += (uint32_t)name.len;
    put_slot(dir, dir->count++);
    return entry;
}

void dir_remove(struct dir *dir, struct entry *entry)
{
    assert((entry->flags & ENTRY_DEAD) == 0);
    entry->flags = ENTRY_DEAD;
    entry->inode = INODE_NONE;
    dir->dead++;
}

const struct entry *dir_from_cookie(const struct dir *dir, uint64_t cookie)
{
    uint32_t low = 0;
    uint32_t high = dir->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dir->entries[middle].cookie < cookie) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low < dir->count && (dir->entries[low].flags & ENTRY_DEAD) != 0) {
        low++;
    }
    return low < dir->count ? &dir->entries[low] : NULL;
}
