#include "guest/snapshot.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/save.h"
#include "guest/abi/dlopen.h"
#include "guest/abi/environment.h"
#include "guest/abi/ffi.h"
#include "guest/boot.h"
#include "guest/dylink/loader.h"
#include "guest/state.h"

enum { PAGE_BYTES = 4096 };

static const char magic[8] = "VITRSNP";

/* ---- The key --------------------------------------------------------------------------------- */

/* A file that was copied with its times, perhaps through an archive that has no fractions of
 * seconds, is still the same. */
static void file_stamp(const char *path, struct saving *key)
{
    struct stat now;
    const bool is_there = path != NULL && stat(path, &now) == 0;
    save_u64(key, is_there ? (uint64_t)now.st_size : UINT64_MAX);
    save_u64(key, is_there ? (uint64_t)now.st_mtim.tv_sec : 0);
}

/* The trampoline and the core's record are made with the core; the machine code of side modules
 * with their list, which names each by its sum. */
static int key_make(struct guest *guest, const struct guest_config *config, struct err *err)
{
    struct saving key = {.is_full = false};
    buf_init(&key.bytes, LIMIT_SNAPSHOT_KEY_BYTES_MAX);
    save_u32(&key, SNAPSHOT_VERSION);
    save_bytes(&key, span_of(engine_version()));
    file_stamp(config->core_path, &key);
    for (size_t i = 0; config->image_paths[i] != NULL; i++) {
        file_stamp(config->image_paths[i], &key);
    }
    file_stamp(config->modules_path, &key);
    buf_free(&guest->snapshot_key);
    guest->snapshot_key = key.bytes;
    return key.is_full ? err_set(err, ERR_MEMORY, "no memory for the key of a snapshot") : 0;
}

int snapshot_map(struct guest *guest, const struct guest_config *config, struct err *err)
{
    if (key_make(guest, config, err) != 0) {
        return -1;
    }
    if (config->snapshot_path != NULL &&
        fd_map_file(config->snapshot_path, &guest->snapshot, NULL) != 0) {
        guest->snapshot = (struct span){NULL, 0};
    }
    return 0;
}

void snapshot_unmap(struct guest *guest)
{
    if (guest->snapshot.base != NULL) {
        munmap((void *)(uintptr_t)guest->snapshot.base, guest->snapshot.len);
        guest->snapshot = (struct span){NULL, 0};
    }
    buf_free(&guest->snapshot_key);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Zeros at the end are what new memory has anyway; but where libraries have their data, making
 * their instances has written something. */
static size_t memory_used(struct span memory)
{
    size_t used = memory.len;
    static const char zeros[PAGE_BYTES];
    while (used >= PAGE_BYTES && memcmp(memory.base + used - PAGE_BYTES, zeros, PAGE_BYTES) == 0) {
        used -= PAGE_BYTES;
    }
    return used;
}

static void header_write(char header[SNAPSHOT_HEADER_BYTES], size_t record_bytes, size_t memory_at,
                         size_t memory_bytes, size_t memory_size, uint32_t table_size)
{
    memset(header, 0, SNAPSHOT_HEADER_BYTES);
    const uint32_t numbers[] = {htole32(SNAPSHOT_VERSION), htole32((uint32_t)record_bytes)};
    const uint64_t sizes[] = {htole64(memory_at), htole64(memory_bytes), htole64(memory_size)};
    const uint32_t table = htole32(table_size);
    memcpy(header, magic, sizeof magic);
    memcpy(header + sizeof magic, numbers, sizeof numbers);
    memcpy(header + sizeof magic + sizeof numbers, sizes, sizeof sizes);
    memcpy(header + sizeof magic + sizeof numbers + sizeof sizes, &table, sizeof table);
}

void snapshot_save_python(struct guest *guest, struct saving *out)
{
    save_u32(out, guest->step_function);
    save_u32(out, guest->rewind_function);
    save_u32(out, (uint32_t)guest->variable_count);
    for (size_t i = 0; i < guest->variable_count; i++) {
        save_u32(out, engine_global_get_i32(guest->store, &guest->variables[i]));
    }
}

int snapshot_save_links(struct guest *guest, struct saving *out, struct err *err)
{
    if (loader_save(guest, out, err) != 0) {
        return -1;
    }
    handles_save(guest, out);
    ffi_save(guest, out);
    environment_zone_save(guest, out);
    return 0;
}

static int record_write(struct guest *guest, struct saving *out, struct err *err)
{
    save_bytes(out, buf_span(&guest->snapshot_key));
    snapshot_save_python(guest, out);
    if (vfs_save_state(guest->vfs, out, err) != 0 || snapshot_save_links(guest, out, err) != 0) {
        return -1;
    }
    return out->is_full ? err_set(err, ERR_LIMIT, "its record has more than %llu bytes",
                                  LIMIT_SNAPSHOT_RECORD_BYTES_MAX)
                        : 0;
}

static int file_write(struct guest *guest, struct span record, const char *path, struct err *err)
{
    static const char zeros[PAGE_BYTES];
    char header[SNAPSHOT_HEADER_BYTES];
    const struct span memory = engine_memory(guest->store, &guest->memory);
    const size_t used = memory_used(memory);
    const size_t gap = (PAGE_BYTES - (sizeof header + record.len) % PAGE_BYTES) % PAGE_BYTES;
    header_write(header, record.len, sizeof header + record.len + gap, used, memory.len,
                 engine_table_size(guest->store, &guest->table));
    const struct span parts[] = {
        {header, sizeof header}, record, {zeros, gap}, {memory.base, used}};
    return fd_write_file_parts(path, parts, sizeof parts / sizeof *parts, err);
}

int guest_snapshot_write(struct guest *guest, const char *path, struct err *err)
{
    struct saving record = {.is_full = false};
    if (guest->rewind_function == 0) {
        return err_set(err, ERR_USAGE, "a snapshot is made of a warm guest");
    }
    buf_init(&record.bytes, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    int result = record_write(guest, &record, err) != 0 ||
                         file_write(guest, buf_span(&record.bytes), path, err) != 0
                     ? err_prefix(err, "making a snapshot")
                     : 0;
    buf_free(&record.bytes);
    return result;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct snapshot {
    struct span record;
    struct span memory;
    uint64_t memory_size;
    uint32_t table_size;
};

static int damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the snapshot is damaged");
}

static int header_read(struct span file, struct snapshot *out, struct err *err)
{
    struct loading in = {.rest = file};
    if (file.len < SNAPSHOT_HEADER_BYTES || memcmp(file.base, magic, sizeof magic) != 0) {
        return err_set(err, ERR_FORMAT, "this is no snapshot");
    }
    in.rest.base += sizeof magic;
    in.rest.len -= sizeof magic;
    if (load_u32(&in) != SNAPSHOT_VERSION) {
        return err_set(err, ERR_FORMAT, "a snapshot of another version");
    }
    const uint32_t record_bytes = load_u32(&in);
    const uint64_t memory_at = load_u64(&in);
    const uint64_t memory_bytes = load_u64(&in);
    out->memory_size = load_u64(&in);
    out->table_size = load_u32(&in);
    if (record_bytes > file.len - SNAPSHOT_HEADER_BYTES || memory_at > file.len ||
        memory_bytes > file.len - memory_at || memory_at % PAGE_BYTES != 0 ||
        memory_at < SNAPSHOT_HEADER_BYTES + record_bytes || memory_bytes % PAGE_BYTES != 0 ||
        memory_bytes > out->memory_size || out->memory_size > LIMIT_MEMORY_BYTES_MAX) {
        return damaged(err);
    }
    out->record = (struct span){file.base + SNAPSHOT_HEADER_BYTES, record_bytes};
    out->memory = (struct span){file.base + memory_at, memory_bytes};
    return 0;
}

int snapshot_load_python(struct guest *guest, struct loading *in, struct err *err)
{
    guest->step_function = load_u32(in);
    guest->rewind_function = load_u32(in);
    if (load_u32(in) != guest->variable_count || guest->step_function == 0) {
        return damaged(err);
    }
    for (size_t i = 0; i < guest->variable_count; i++) {
        engine_global_set_i32(guest->store, &guest->variables[i], load_u32(in));
    }
    return 0;
}

int snapshot_make_room(struct guest *guest, uint64_t memory_size, uint32_t table_size,
                       struct err *err)
{
    const uint32_t table_has = engine_table_size(guest->store, &guest->table);
    uint32_t ignored;
    if (memory_size > guest->memory_bytes_max) {
        return err_set(err, ERR_LIMIT, "it has more memory than this guest may have");
    }
    if (table_size < guest->table_own) {
        return damaged(err);
    }
    if (engine_memory_grow(guest->store, &guest->memory, memory_size) != 0) {
        return err_set(err, ERR_MEMORY, "its memory cannot be had");
    }
    return table_size <= table_has ? 0
                                   : engine_table_grow(guest->store, &guest->table,
                                                       table_size - table_has, &ignored, err);
}

/* Moves the file's pages to where the guest's memory is; nobody writes to the file by them. Last,
 * because making instances writes to memory, and there is no way back from it. */
static int memory_restore(struct guest *guest, const struct snapshot *snapshot, struct err *err)
{
    const struct span memory = engine_memory(guest->store, &guest->memory);
    void *from = (void *)(uintptr_t)snapshot->memory.base;
    void *to = (void *)(uintptr_t)memory.base;
    const size_t len = snapshot->memory.len;
    if (len == 0 || memory.len != snapshot->memory_size) {
        return damaged(err);
    }
    if (mprotect(from, len, PROT_READ | PROT_WRITE) != 0 ||
        mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
        return err_system(err, "putting the memory of a snapshot in place");
    }
    guest->snapshot.len = (size_t)(snapshot->memory.base - guest->snapshot.base);
    return 0;
}

int snapshot_load_links(struct guest *guest, struct loading *in, struct err *err)
{
    if (loader_load(guest, in, err) != 0 || handles_load(guest, in, err) != 0 ||
        ffi_load(guest, in, err) != 0) {
        return -1;
    }
    environment_zone_load(guest, in);
    return 0;
}

int snapshot_restore(struct guest *guest, struct err *err)
{
    struct snapshot snapshot = {.memory_size = 0};
    if (header_read(guest->snapshot, &snapshot, err) != 0) {
        return -1;
    }
    struct loading in = {.rest = snapshot.record};
    if (!span_equal(load_bytes(&in, LIMIT_SNAPSHOT_KEY_BYTES_MAX),
                    buf_span(&guest->snapshot_key))) {
        return err_set(err, ERR_FORMAT, "the snapshot was made of other files");
    }
    if (snapshot_load_python(guest, &in, err) != 0 ||
        snapshot_make_room(guest, snapshot.memory_size, snapshot.table_size, err) != 0 ||
        vfs_load_state(guest->vfs, &in, err) != 0 || snapshot_load_links(guest, &in, err) != 0) {
        return -1;
    }
    if (in.is_bad || in.rest.len != 0 || guest->rewind_function == 0) {
        return damaged(err);
    }
    /* The engine prepares a thread for its first call, with system calls that a cell may not make.
     */
    if (memory_restore(guest, &snapshot, err) != 0 || boot_read_version(guest, err) != 0) {
        return -1;
    }
    guest->is_restored = true;
    return 0;
}
