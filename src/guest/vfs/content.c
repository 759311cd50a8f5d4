/* File contents in chunks. Memory is charged to the quota as it is allocated, never by size, so
 * that holes are free and a chunk that is there costs what it takes. */
#include <stdlib.h>

#include "guest/vfs/tree.h"

enum { CAPACITY_MIN = 64, CHUNKS_FIRST = 4 };

/* The place of the first chunk at or after `index`. Most files have no holes: look there first. */
static uint32_t chunk_place(const struct content *content, uint64_t index)
{
    if (index < content->count && content->chunks[index].index == index) {
        return (uint32_t)index;
    }
    uint32_t low = 0;
    uint32_t high = content->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (content->chunks[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct chunk *chunk_find(const struct content *content, uint64_t index)
{
    uint32_t place = chunk_place(content, index);
    bool found = place < content->count && content->chunks[place].index == index;
    return found ? &content->chunks[place] : NULL;
}

/* Finds a chunk or inserts an empty one; NULL without memory. */
static struct chunk *chunk_make(struct content *content, uint64_t index)
{
    uint32_t place = chunk_place(content, index);
    if (place < content->count && content->chunks[place].index == index) {
        return &content->chunks[place];
    }
    if (content->count == content->capacity) {
        uint32_t capacity = content->capacity == 0 ? 1 : content->capacity * 2;
        if (content->capacity == 1) {
            capacity = CHUNKS_FIRST;
        }
        struct chunk *chunks = reallocarray(content->chunks, capacity, sizeof *chunks);
        if (chunks == NULL) {
            return NULL;
        }
        content->chunks = chunks;
        content->capacity = capacity;
    }
    struct chunk *chunk = &content->chunks[place];
    memmove(chunk + 1, chunk, (content->count - place) * sizeof *chunk);
    *chunk = (struct chunk){.index = index};
    content->count++;
    return chunk;
}

static uint32_t round_capacity(uint32_t needed)
{
    uint32_t capacity = CAPACITY_MIN;
    while (capacity < needed) {
        capacity *= 2;
    }
    return capacity;
}

/* Grows a chunk so that it holds `needed` bytes, or as many as the quota still allows. */
static int chunk_grow(struct vfs *vfs, struct chunk *chunk, uint32_t needed)
{
    if (chunk->capacity >= needed) {
        return 0;
    }
    uint32_t capacity = round_capacity(needed);
    uint64_t left = vfs_bytes_left(vfs);
    if (capacity - chunk->capacity > left) {
        capacity = chunk->capacity + (uint32_t)left;
    }
    if (capacity < needed) {
        vfs->limits_hit |= VFS_LIMIT_BYTES;
    }
    if (capacity == chunk->capacity) {
        return -GUEST_ENOSPC;
    }
    char *bytes = realloc(chunk->bytes, capacity);
    if (bytes == NULL) {
        return -GUEST_ENOMEM;
    }
    memset(bytes + chunk->capacity, 0, capacity - chunk->capacity);
    vfs->bytes_used += capacity - chunk->capacity;
    chunk->bytes = bytes;
    chunk->capacity = capacity;
    return 0;
}

int content_add(struct vfs *vfs, struct content *content, uint64_t index, uint32_t capacity)
{
    if (capacity > vfs_bytes_left(vfs)) {
        vfs->limits_hit |= VFS_LIMIT_BYTES;
        return -GUEST_ENOSPC;
    }
    char *bytes = calloc(1, capacity);
    struct chunk *chunk = bytes == NULL ? NULL : chunk_make(content, index);
    if (chunk == NULL) {
        free(bytes);
        return -GUEST_ENOMEM;
    }
    *chunk = (struct chunk){.index = index, .bytes = bytes, .capacity = capacity};
    vfs->bytes_used += capacity;
    return 0;
}

static void chunk_remove(struct vfs *vfs, struct content *content, struct chunk *chunk)
{
    vfs->bytes_used -= chunk->capacity;
    free(chunk->bytes);
    uint32_t place = (uint32_t)(chunk - content->chunks);
    content->count--;
    memmove(chunk, chunk + 1, (content->count - place) * sizeof *chunk);
}

void content_read(const struct content *content, uint64_t offset, char *out, size_t len)
{
    while (len > 0) {
        uint32_t start = (uint32_t)(offset % CHUNK_BYTES);
        size_t part = CHUNK_BYTES - start < len ? CHUNK_BYTES - start : len;
        const struct chunk *chunk = chunk_find(content, offset / CHUNK_BYTES);
        size_t there = 0;
        if (chunk != NULL && chunk->capacity > start) {
            there = chunk->capacity - start < part ? chunk->capacity - start : part;
            memcpy(out, chunk->bytes + start, there);
        }
        memset(out + there, 0, part - there);
        out += part;
        offset += part;
        len -= part;
    }
}

/* Writes within one chunk; the count, or an error when not one byte found room. */
static int64_t write_part(struct vfs *vfs, struct content *content, uint64_t offset,
                          const char *bytes, uint32_t len)
{
    struct chunk *chunk = chunk_make(content, offset / CHUNK_BYTES);
    if (chunk == NULL) {
        return -GUEST_ENOMEM;
    }
    uint32_t start = (uint32_t)(offset % CHUNK_BYTES);
    int status = chunk_grow(vfs, chunk, start + len);
    if (chunk->capacity <= start) {
        if (chunk->capacity == 0) {
            chunk_remove(vfs, content, chunk);
        }
        return status != 0 ? status : -GUEST_ENOSPC;
    }
    uint32_t part = chunk->capacity - start < len ? chunk->capacity - start : len;
    memcpy(chunk->bytes + start, bytes, part);
    return part;
}

int64_t content_write(struct vfs *vfs, struct content *content, uint64_t offset, const char *bytes,
                      size_t len)
{
    size_t done = 0;
    while (done < len) {
        uint32_t room = CHUNK_BYTES - (uint32_t)((offset + done) % CHUNK_BYTES);
        uint32_t part = len - done < room ? (uint32_t)(len - done) : room;
        int64_t written = write_part(vfs, content, offset + done, bytes + done, part);
        if (written < 0) {
            return done > 0 ? (int64_t)done : written;
        }
        done += (size_t)written;
        if (written < part) {
            break;
        }
    }
    return (int64_t)done;
}

int content_allocate(struct vfs *vfs, struct content *content, uint64_t offset, uint64_t len)
{
    uint64_t end = offset + len;
    while (offset < end) {
        uint64_t next = (offset / CHUNK_BYTES + 1) * CHUNK_BYTES;
        uint32_t needed = (uint32_t)(next <= end ? CHUNK_BYTES : end % CHUNK_BYTES);
        struct chunk *chunk = chunk_make(content, offset / CHUNK_BYTES);
        if (chunk == NULL) {
            return -GUEST_ENOMEM;
        }
        int status = chunk_grow(vfs, chunk, needed);
        bool enough = chunk->capacity >= needed;
        if (chunk->capacity == 0) {
            chunk_remove(vfs, content, chunk);
        }
        if (!enough) {
            return status != 0 ? status : -GUEST_ENOSPC;
        }
        offset = next;
    }
    return 0;
}

/* Gives back what a chunk has past `keep` bytes; what stays allocated is zeroed there. */
static void chunk_cut(struct vfs *vfs, struct chunk *chunk, uint32_t keep)
{
    uint32_t capacity = round_capacity(keep);
    if (capacity < chunk->capacity) {
        char *bytes = realloc(chunk->bytes, capacity);
        if (bytes != NULL) {
            vfs->bytes_used -= chunk->capacity - capacity;
            chunk->bytes = bytes;
            chunk->capacity = capacity;
        }
    }
    if (keep < chunk->capacity) {
        memset(chunk->bytes + keep, 0, chunk->capacity - keep);
    }
}

void content_cut(struct vfs *vfs, struct content *content, uint64_t size)
{
    uint32_t keep = (uint32_t)(size % CHUNK_BYTES);
    uint32_t place = chunk_place(content, size / CHUNK_BYTES + (keep > 0 ? 1 : 0));
    for (uint32_t i = place; i < content->count; i++) {
        vfs->bytes_used -= content->chunks[i].capacity;
        free(content->chunks[i].bytes);
    }
    content->count = place;
    struct chunk *last = keep > 0 ? chunk_find(content, size / CHUNK_BYTES) : NULL;
    if (last != NULL) {
        chunk_cut(vfs, last, keep);
    }
    if (content->count == 0) {
        free(content->chunks);
        *content = (struct content){0};
    }
}

uint64_t content_charge(const struct content *content)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < content->count; i++) {
        bytes += content->chunks[i].capacity;
    }
    return bytes;
}
