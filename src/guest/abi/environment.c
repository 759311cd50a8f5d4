#include "guest/abi/environment.h"

#include <string.h>

#include "base/buf.h"
#include "guest/abi/timezone.h"

enum {
    ENVIRONMENT_COUNT_MAX = 4096,
    ENVIRONMENT_VALUE_MAX = 4096,
    ZONE_FILE_BYTES_MAX = 65536,
};

/* Looks NAME up in the guest's `environ`; 0, or -1 when it is not there. */
static int environment_get(const struct guest *guest, const char *name, struct span *value)
{
    uint32_t list;
    if (guest_memory_read_u32(guest, guest->environ_at, &list) != 0) {
        return -1;
    }
    size_t name_len = strlen(name);
    for (uint32_t i = 0; list != 0 && i < ENVIRONMENT_COUNT_MAX; i++) {
        uint32_t entry;
        struct span text;
        if (guest_memory_read_u32(guest, guest_addr(list + 4 * i), &entry) != 0 || entry == 0) {
            return -1;
        }
        if (guest_memory_text(guest, guest_addr(entry), ENVIRONMENT_VALUE_MAX, &text) == 0 &&
            text.len > name_len && memcmp(text.base, name, name_len) == 0 &&
            text.base[name_len] == '=') {
            *value = (struct span){text.base + name_len + 1, text.len - name_len - 1};
            return 0;
        }
    }
    return -1;
}

/* The last line of a TZif file is the zone's POSIX string for the years to come (RFC 9636, 3.3). */
static int zone_from_file(struct guest *guest, struct span name, struct guest_zone *out)
{
    cleanup_buf struct buf path;
    cleanup_buf struct buf file;
    buf_init(&path, ENVIRONMENT_VALUE_MAX);
    buf_init(&file, ZONE_FILE_BYTES_MAX);
    if (buf_append_text(&path, "/usr/share/zoneinfo/") != 0 ||
        buf_append(&path, name.base, name.len) != 0 ||
        vfs_load(guest->vfs, buf_span(&path), &file) != 0) {
        return -1;
    }
    if (file.len < 2 || memcmp(file.base, "TZif", 4) != 0 || file.base[file.len - 1] != '\n') {
        return -1;
    }
    const char *end = file.base + file.len - 1;
    const char *start = memrchr(file.base, '\n', (size_t)(end - file.base));
    return start == NULL ? -1
                         : zone_parse((struct span){start + 1, (size_t)(end - start - 1)}, out);
}

static void zone_set(struct guest *guest, const char now[GUEST_ZONE_TEXT_MAX])
{
    memcpy(guest->zone_text, now, sizeof guest->zone_text);
    guest->zone = zone_utc();
    const struct span text = span_of(guest->zone_text[0] == ':' ? now + 1 : now);
    if (text.len > 0 && zone_parse(text, &guest->zone) != 0) {
        (void)zone_from_file(guest, text, &guest->zone);
    }
}

bool environment_zone_refresh(struct guest *guest)
{
    char now[GUEST_ZONE_TEXT_MAX] = "";
    struct span text;
    if (environment_get(guest, "TZ", &text) == 0 && text.len < sizeof now) {
        memcpy(now, text.base, text.len);
    }
    if (strcmp(now, guest->zone_text) == 0) {
        return false;
    }
    zone_set(guest, now);
    return true;
}

void environment_zone_save(const struct guest *guest, struct saving *out)
{
    save_bytes(out, span_of(guest->zone_text));
    save_u32(out, guest->zone_names_at[0].at);
    save_u32(out, guest->zone_names_at[1].at);
}

void environment_zone_load(struct guest *guest, struct loading *in)
{
    char text[GUEST_ZONE_TEXT_MAX] = "";
    const struct span saved = load_bytes(in, sizeof text - 1);
    memcpy(text, saved.base, saved.len);
    zone_set(guest, text);
    guest->zone_names_at[0] = guest_addr(load_u32(in));
    guest->zone_names_at[1] = guest_addr(load_u32(in));
}
