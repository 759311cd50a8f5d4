/* The writing half of image.h: a tree in memory, then one pass that lays it out. */
#include <stdlib.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/image_format.h"

struct node {
    uint32_t parent;
    uint32_t name_offset; /* in writer->names */
    uint16_t name_len;
    uint16_t mode;
    const char *borrowed; /* contents; NULL when they are in writer->data */
    uint64_t offset;      /* in writer->data */
    uint64_t size;
};

struct image_writer {
    uint64_t mtime_s;
    struct node *nodes;
    uint32_t node_count;
    uint32_t node_capacity;
    uint32_t *slots; /* hash of (parent, name) to node number + 1; 0 is free */
    uint32_t slot_count;
    struct buf names;
    struct buf data;
};

enum { FIRST_NODES = 64, DIR_MODE_DEFAULT = 0755, PERMISSIONS = 07777 };

static struct span node_name(const struct image_writer *writer, const struct node *node)
{
    return (struct span){writer->names.base + node->name_offset, node->name_len};
}

static uint32_t hash_name(uint32_t parent, struct span name)
{
    uint32_t hash = 2166136261u ^ parent;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.base[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

/* The slot that holds the child, or the free one where it would go. */
static uint32_t find_slot(const struct image_writer *writer, uint32_t parent, struct span name)
{
    uint32_t mask = writer->slot_count - 1;
    uint32_t slot = hash_name(parent, name) & mask;
    while (writer->slots[slot] != 0) {
        const struct node *node = &writer->nodes[writer->slots[slot] - 1];
        if (node->parent == parent && span_equal(node_name(writer, node), name)) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* Room for one more node; slots are kept at most half full. */
static int grow(struct image_writer *writer)
{
    if (writer->node_count < writer->node_capacity) {
        return 0;
    }
    uint32_t capacity = writer->node_capacity == 0 ? FIRST_NODES : writer->node_capacity * 2;
    struct node *nodes = reallocarray(writer->nodes, capacity, sizeof *nodes);
    if (nodes == NULL) {
        return -1;
    }
    writer->nodes = nodes;
    uint32_t *slots = calloc((size_t)capacity * 2, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    free(writer->slots);
    writer->slots = slots;
    writer->slot_count = capacity * 2;
    writer->node_capacity = capacity;
    for (uint32_t i = 1; i < writer->node_count; i++) {
        const struct node *node = &writer->nodes[i];
        slots[find_slot(writer, node->parent, node_name(writer, node))] = i + 1;
    }
    return 0;
}

static int add_node(struct image_writer *writer, uint32_t parent, struct span name, uint32_t mode,
                    uint32_t *index, struct err *err)
{
    if (writer->node_count >= LIMIT_IMAGE_ENTRIES_MAX) {
        return err_set(err, ERR_LIMIT, "an image holds at most %u files and directories",
                       LIMIT_IMAGE_ENTRIES_MAX);
    }
    size_t name_offset = writer->names.len;
    if (grow(writer) != 0 || buf_append(&writer->names, name.base, name.len) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for the names of an image");
    }
    *index = writer->node_count++;
    writer->nodes[*index] = (struct node){.parent = parent,
                                          .name_offset = (uint32_t)name_offset,
                                          .name_len = (uint16_t)name.len,
                                          .mode = (uint16_t)mode};
    if (*index != IMAGE_ROOT) {
        writer->slots[find_slot(writer, parent, name)] = *index + 1;
    }
    return 0;
}

struct image_writer *image_writer_new(uint64_t mtime_s)
{
    struct image_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->mtime_s = mtime_s;
    buf_init(&writer->names, UINT32_MAX);
    buf_init(&writer->data, LIMIT_IMAGE_BYTES_MAX);
    uint32_t root;
    if (add_node(writer, IMAGE_ROOT, (struct span){"", 0}, IMAGE_MODE_DIR | DIR_MODE_DEFAULT, &root,
                 NULL) != 0) {
        image_writer_free(writer);
        return NULL;
    }
    return writer;
}

void image_writer_free(struct image_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    free(writer->nodes);
    free(writer->slots);
    buf_free(&writer->names);
    buf_free(&writer->data);
    free(writer);
}

/* Cuts the next component off *path; false at its end. Repeated slashes count as one. */
static bool next_component(struct span *path, struct span *name)
{
    while (path->len > 0 && path->base[0] == '/') {
        path->base++;
        path->len--;
    }
    const char *slash = path->len == 0 ? NULL : memchr(path->base, '/', path->len);
    size_t len = slash == NULL ? path->len : (size_t)(slash - path->base);
    *name = (struct span){path->base, len};
    path->base += len;
    path->len -= len;
    return len > 0;
}

static bool name_is_plain(struct span name)
{
    return name.len <= LIMIT_NAME_BYTES_MAX && memchr(name.base, '\0', name.len) == NULL &&
           !span_equal(name, span_of(".")) && !span_equal(name, span_of(".."));
}

/* Finds or makes the node at `path` and the directories above it. A new node gets `mode`;
 * *is_new says whether it is one. */
static int place_node(struct image_writer *writer, struct span path, uint32_t mode, uint32_t *index,
                      bool *is_new, struct err *err)
{
    uint32_t at = IMAGE_ROOT;
    struct span rest = path;
    struct span name;
    *is_new = false;
    bool more = next_component(&rest, &name);
    while (more) {
        struct span next;
        more = next_component(&rest, &next);
        if (!name_is_plain(name)) {
            return err_set(err, ERR_USAGE, "%.*s: not a path that an image can hold", (int)path.len,
                           path.base);
        }
        if ((writer->nodes[at].mode & IMAGE_MODE_TYPE) != IMAGE_MODE_DIR) {
            return err_set(err, ERR_USAGE, "%.*s: a file stands where a directory is needed",
                           (int)path.len, path.base);
        }
        uint32_t found = writer->slots[find_slot(writer, at, name)];
        uint32_t new_mode = more ? IMAGE_MODE_DIR | DIR_MODE_DEFAULT : mode;
        *is_new = found == 0;
        if (found != 0) {
            at = found - 1;
        } else if (add_node(writer, at, name, new_mode, &at, err) != 0) {
            return -1;
        }
        name = next;
    }
    *index = at;
    return 0;
}

int image_writer_add_dir(struct image_writer *writer, struct span path, uint32_t mode,
                         struct err *err)
{
    uint32_t index;
    bool is_new;
    mode = IMAGE_MODE_DIR | (mode & PERMISSIONS);
    if (place_node(writer, path, mode, &index, &is_new, err) != 0) {
        return -1;
    }
    if ((writer->nodes[index].mode & IMAGE_MODE_TYPE) != IMAGE_MODE_DIR) {
        return err_set(err, ERR_USAGE, "%.*s: a file stands where a directory is needed",
                       (int)path.len, path.base);
    }
    writer->nodes[index].mode = (uint16_t)mode;
    return 0;
}

/* A new node that is no directory, whose contents the caller says. */
static int add_leaf(struct image_writer *writer, struct span path, uint32_t mode,
                    struct node **node, struct err *err)
{
    uint32_t index;
    bool is_new;
    if (place_node(writer, path, mode, &index, &is_new, err) != 0) {
        return -1;
    }
    if (!is_new) {
        return err_set(err, ERR_USAGE, "%.*s: already in the image", (int)path.len, path.base);
    }
    *node = &writer->nodes[index];
    return 0;
}

static int add_contents(struct image_writer *writer, struct span path, struct span bytes,
                        uint32_t mode, struct err *err)
{
    size_t offset = writer->data.len;
    struct node *node = NULL;
    if (buf_append(&writer->data, bytes.base, bytes.len) != 0) {
        return err_set(err, ERR_MEMORY, "%.*s: no room for %zu more bytes in the image",
                       (int)path.len, path.base, bytes.len);
    }
    if (add_leaf(writer, path, mode, &node, err) != 0) {
        return -1;
    }
    node->offset = offset;
    node->size = bytes.len;
    return 0;
}

int image_writer_add_file(struct image_writer *writer, struct span path, struct span bytes,
                          uint32_t mode, struct err *err)
{
    return add_contents(writer, path, bytes, IMAGE_MODE_FILE | (mode & PERMISSIONS), err);
}

int image_writer_borrow_file(struct image_writer *writer, struct span path, struct span bytes,
                             uint32_t mode, struct err *err)
{
    struct node *node = NULL;
    if (add_leaf(writer, path, IMAGE_MODE_FILE | (mode & PERMISSIONS), &node, err) != 0) {
        return -1;
    }
    node->borrowed = bytes.base;
    node->size = bytes.len;
    return 0;
}

int image_writer_add_symlink(struct image_writer *writer, struct span path, struct span target,
                             struct err *err)
{
    if (target.len == 0 || target.len >= LIMIT_PATH_BYTES_MAX ||
        memchr(target.base, '\0', target.len) != NULL) {
        return err_set(err, ERR_USAGE, "%.*s: not a target that a symlink can have", (int)path.len,
                       path.base);
    }
    return add_contents(writer, path, target, IMAGE_MODE_LINK | 0777U, err);
}

/* The order in which nodes are laid out: parents first, siblings together and sorted. */
struct layout {
    uint32_t *sorted; /* nodes other than the root by (parent, name) */
    uint32_t *first;  /* of each node: where its children start in `sorted` */
    uint32_t *count;  /* of each node: how many children */
    uint32_t *order;  /* final position to node */
};

static void layout_free(struct layout *layout)
{
    free(layout->sorted);
    free(layout->first);
    free(layout->count);
    free(layout->order);
}

static int compare_nodes(const void *left, const void *right, void *context)
{
    const struct image_writer *writer = context;
    const struct node *a = &writer->nodes[*(const uint32_t *)left];
    const struct node *b = &writer->nodes[*(const uint32_t *)right];
    if (a->parent != b->parent) {
        return a->parent < b->parent ? -1 : 1;
    }
    size_t common = a->name_len < b->name_len ? a->name_len : b->name_len;
    int order = memcmp(node_name(writer, a).base, node_name(writer, b).base, common);
    return order != 0 ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

static int layout_make(struct image_writer *writer, struct layout *layout)
{
    uint32_t total = writer->node_count;
    layout->sorted = calloc(total, sizeof *layout->sorted);
    layout->first = calloc(total, sizeof *layout->first);
    layout->count = calloc(total, sizeof *layout->count);
    layout->order = calloc(total, sizeof *layout->order);
    if (layout->sorted == NULL || layout->first == NULL || layout->count == NULL ||
        layout->order == NULL) {
        return -1;
    }
    for (uint32_t i = 1; i < total; i++) {
        layout->sorted[i - 1] = i;
    }
    qsort_r(layout->sorted, total - 1, sizeof *layout->sorted, compare_nodes, writer);
    for (uint32_t i = total - 1; i-- > 0;) {
        uint32_t parent = writer->nodes[layout->sorted[i]].parent;
        layout->first[parent] = i;
        layout->count[parent]++;
    }
    uint32_t tail = 1;
    for (uint32_t head = 0; head < tail; head++) {
        uint32_t node = layout->order[head];
        for (uint32_t i = 0; i < layout->count[node]; i++) {
            layout->order[tail++] = layout->sorted[layout->first[node] + i];
        }
    }
    return 0;
}

/* Where each part of the finished image begins, from the image's own start. */
struct parts {
    uint64_t names;
    uint64_t data;
    uint64_t data_bytes;
};

static uint64_t align_up(uint64_t value)
{
    return (value + IMAGE_ALIGN - 1) & ~(uint64_t)(IMAGE_ALIGN - 1);
}

static struct parts parts_of(const struct image_writer *writer)
{
    struct parts parts = {.names = IMAGE_HEADER_BYTES +
                                   (uint64_t)writer->node_count * IMAGE_ENTRY_BYTES};
    parts.data = align_up(parts.names + writer->names.len);
    for (uint32_t i = 0; i < writer->node_count; i++) {
        parts.data_bytes += align_up(writer->nodes[i].size);
    }
    return parts;
}

static void write_header(const struct image_writer *writer, const struct parts *parts, char *out)
{
    memcpy(out, IMAGE_MAGIC, IMAGE_MAGIC_BYTES);
    image_put_u32(out + IMAGE_HEADER_VERSION, IMAGE_VERSION);
    image_put_u32(out + IMAGE_HEADER_COUNT, writer->node_count);
    image_put_u64(out + IMAGE_HEADER_ENTRIES, IMAGE_HEADER_BYTES);
    image_put_u64(out + IMAGE_HEADER_NAMES, parts->names);
    image_put_u64(out + IMAGE_HEADER_NAMES_BYTES, writer->names.len);
    image_put_u64(out + IMAGE_HEADER_DATA, parts->data);
    image_put_u64(out + IMAGE_HEADER_DATA_BYTES, parts->data_bytes);
    image_put_u64(out + IMAGE_HEADER_MTIME, writer->mtime_s);
}

/* Fills `out`, zeroed and large enough, with all that comes before the data. */
static void write_head(const struct image_writer *writer, const struct layout *layout,
                       const struct parts *parts, char *out)
{
    write_header(writer, parts, out);
    uint64_t name_at = 0;
    uint64_t data_at = 0;
    uint32_t next_child = 1;
    for (uint32_t i = 0; i < writer->node_count; i++) {
        const struct node *node = &writer->nodes[layout->order[i]];
        char *entry = out + IMAGE_HEADER_BYTES + (size_t)i * IMAGE_ENTRY_BYTES;
        image_put_u32(entry + IMAGE_ENTRY_NAME, (uint32_t)name_at);
        image_put_u16(entry + IMAGE_ENTRY_NAME_LEN, node->name_len);
        image_put_u16(entry + IMAGE_ENTRY_MODE, node->mode);
        if (node->name_len > 0) {
            memcpy(out + parts->names + name_at, node_name(writer, node).base, node->name_len);
            name_at += node->name_len;
        }
        if ((node->mode & IMAGE_MODE_TYPE) == IMAGE_MODE_DIR) {
            uint32_t count = layout->count[layout->order[i]];
            image_put_u32(entry + IMAGE_ENTRY_CHILD, count == 0 ? 0 : next_child);
            image_put_u32(entry + IMAGE_ENTRY_CHILD_COUNT, count);
            next_child += count;
            continue;
        }
        image_put_u64(entry + IMAGE_ENTRY_OFFSET, data_at);
        image_put_u64(entry + IMAGE_ENTRY_SIZE, node->size);
        data_at += align_up(node->size);
    }
}

/* The finished image as runs of bytes: the head, then contents and padding of each file. */
struct runs {
    char *head;
    struct span *spans;
    size_t count;
    uint64_t bytes;
};

static void runs_free(struct runs *runs)
{
    free(runs->head);
    free(runs->spans);
}

static int runs_fill(struct image_writer *writer, const struct layout *layout, struct runs *runs)
{
    static const char padding[IMAGE_ALIGN];
    struct parts parts = parts_of(writer);
    runs->bytes = parts.data + parts.data_bytes;
    runs->head = calloc(1, (size_t)parts.data);
    runs->spans = calloc((size_t)writer->node_count * 2 + 1, sizeof *runs->spans);
    if (runs->head == NULL || runs->spans == NULL) {
        return -1;
    }
    write_head(writer, layout, &parts, runs->head);
    runs->spans[runs->count++] = (struct span){runs->head, (size_t)parts.data};
    for (uint32_t i = 0; i < writer->node_count; i++) {
        const struct node *node = &writer->nodes[layout->order[i]];
        if (node->size == 0) {
            continue;
        }
        const char *base =
            node->borrowed != NULL ? node->borrowed : writer->data.base + node->offset;
        runs->spans[runs->count++] = (struct span){base, (size_t)node->size};
        runs->spans[runs->count++] =
            (struct span){padding, (size_t)(align_up(node->size) - node->size)};
    }
    return 0;
}

static int runs_make(struct image_writer *writer, struct runs *runs, struct err *err)
{
    struct layout layout = {0};
    int result = layout_make(writer, &layout) != 0 || runs_fill(writer, &layout, runs) != 0
                     ? err_set(err, ERR_MEMORY, "no memory to lay out an image")
                     : 0;
    layout_free(&layout);
    return result;
}

int image_writer_finish(struct image_writer *writer, struct buf *out, struct err *err)
{
    struct runs runs = {0};
    int result = runs_make(writer, &runs, err);
    if (result == 0 && buf_reserve(out, (size_t)runs.bytes) != 0) {
        result = err_set(err, ERR_MEMORY, "no room for an image of %llu bytes",
                         (unsigned long long)runs.bytes);
    }
    for (size_t i = 0; result == 0 && i < runs.count; i++) {
        result = buf_append(out, runs.spans[i].base, runs.spans[i].len);
    }
    runs_free(&runs);
    return result;
}

int image_writer_write(struct image_writer *writer, const char *path, struct err *err)
{
    struct runs runs = {0};
    int result = runs_make(writer, &runs, err);
    if (result == 0) {
        result = fd_write_file_parts(path, runs.spans, runs.count, err);
    }
    runs_free(&runs);
    return result;
}
