/*
 * A hostile server that sends ranges of an archive: the input is the whole archive; its tail, its
 * directory and each member are read as vitrine-fetch reads them.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "fetch/zipdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_members(struct span archive, const struct zipdir *dir)
{
    struct err err;
    for (size_t i = 0; i < dir->count; i++) {
        const struct zipdir_member *member = &dir->members[i];
        assert(member->at <= archive.len && member->range <= archive.len - member->at);
        cleanup_buf struct buf out;
        buf_init(&out, MIB);
        struct span range = {archive.base + member->at, (size_t)member->range};
        if (zipdir_unpack(member, range, &out, &err) == 0) {
            assert(out.len == member->unpacked);
        }
    }
    (void)zipdir_member(dir, "in", "x");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span archive = {(const char *)data, size};
    size_t tail_len = size < ZIPDIR_TAIL_BYTES_MAX ? size : ZIPDIR_TAIL_BYTES_MAX;
    struct span tail = {archive.base + size - tail_len, tail_len};
    struct zipdir_place place;
    struct zipdir dir;
    struct err err;
    if (size == 0 || zipdir_find(tail, size, &place, &err) != 0) {
        return 0;
    }
    assert(place.at + place.len <= size);
    struct span directory = {archive.base + place.at, (size_t)place.len};
    if (zipdir_read(directory, &place, &dir, &err) == 0) {
        read_members(archive, &dir);
        zipdir_free(&dir);
    }
    return 0;
}
