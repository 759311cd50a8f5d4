#include "fetch/config.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/url.h"
#include "wire/wire.h"

/* A text without NUL; replaces what was there. */
static int take_text(char **out, struct span value, struct err *err)
{
    if (value.len == 0 || value.len >= LIMIT_FETCH_URL_BYTES_MAX ||
        memchr(value.base, '\0', value.len) != NULL) {
        return err_set(err, ERR_USAGE, "a text of the configuration is empty or too long");
    }
    free(*out);
    *out = strndup(value.base, value.len);
    return *out != NULL ? 0 : err_set(err, ERR_MEMORY, "no memory for the configuration");
}

static int take_index(struct config *config, struct span value, struct err *err)
{
    size_t at = config->index_count;
    if (at == LIMIT_FETCH_SOURCES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u indexes", LIMIT_FETCH_SOURCES_MAX);
    }
    if (take_text(&config->indexes[at], value, err) != 0) {
        return -1;
    }
    config->index_count++;
    cleanup_buf struct buf name;
    struct url_origin origin;
    buf_init(&name, LIMIT_FETCH_URL_BYTES_MAX);
    if (!url_read_origin(config->indexes[at], &origin) ||
        !url_without_credentials(config->indexes[at], &name)) {
        return err_set(err, ERR_USAGE, "the index is not an https address");
    }
    config->index_names[at] = strdup(name.base);
    return config->index_names[at] != NULL
               ? 0
               : err_set(err, ERR_MEMORY, "no memory for the configuration");
}

/* Cuts "PROJECT==VERSION/FILENAME#SHA256/FOLDER" at its marks. */
static bool carrier_read(struct mirror *mirror)
{
    char *project = mirror->parts;
    char *version = strstr(project, "==");
    char *filename = version == NULL ? NULL : strchr(version, '/');
    char *sum = filename == NULL ? NULL : strchr(filename, '#');
    char *folder = sum == NULL ? NULL : strchr(sum, '/');
    if (folder == NULL) {
        return false;
    }
    *version = *filename++ = *sum++ = *folder++ = '\0';
    mirror->filename = filename;
    mirror->folder = folder;
    return name_read_project(span_of(project), mirror->project, sizeof mirror->project) &&
           name_is_wheel(span_of(filename)) && name_read_sum(span_of(sum), &mirror->sum) &&
           folder[0] != '\0';
}

static int take_mirror(struct config *config, struct span value, struct err *err)
{
    static const char carrier[] = "index:";
    size_t at = config->mirror_count;
    if (at == LIMIT_FETCH_SOURCES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u mirrors", LIMIT_FETCH_SOURCES_MAX);
    }
    if (take_text(&config->mirror_texts[at], value, err) != 0) {
        return -1;
    }
    config->mirror_count++;
    struct mirror *mirror = &config->mirrors[at];
    struct url_origin origin;
    mirror->address = config->mirror_texts[at];
    if (mirror->address[0] == '/') {
        mirror->kind = MIRROR_FOLDER;
        return 0;
    }
    if (strncmp(mirror->address, carrier, strlen(carrier)) != 0) {
        mirror->kind = MIRROR_HTTPS;
        return url_read_origin(mirror->address, &origin)
                   ? 0
                   : err_set(err, ERR_USAGE,
                             "a mirror is neither an absolute path, an https address, nor "
                             "index:PROJECT==VERSION/FILENAME#SHA256/FOLDER");
    }
    mirror->kind = MIRROR_CARRIER;
    mirror->parts = strdup(mirror->address + strlen(carrier));
    if (mirror->parts == NULL || !carrier_read(mirror)) {
        return err_set(err, ERR_USAGE,
                       "a mirror is not index:PROJECT==VERSION/FILENAME#SHA256/FOLDER: %s",
                       mirror->address);
    }
    return 0;
}

static int take_field(struct config *config, const struct wire_field *field, struct err *err)
{
    uint32_t offline;
    switch (field->number) {
    case WIRE_FETCH_CONFIG_CACHE: return take_text(&config->cache, field->value, err);
    case WIRE_FETCH_CONFIG_LOCK: return take_text(&config->lock, field->value, err);
    case WIRE_FETCH_CONFIG_MIRROR: return take_mirror(config, field->value, err);
    case WIRE_FETCH_CONFIG_INDEX: return take_index(config, field->value, err);
    case WIRE_FETCH_CONFIG_CERTIFICATES: return take_text(&config->certificates, field->value, err);
    case WIRE_FETCH_CONFIG_PROXY: return take_text(&config->proxy, field->value, err);
    case WIRE_FETCH_CONFIG_OFFLINE:
        if (wire_get_u32(field->value, &offline) != 0 || offline > 1) {
            break;
        }
        config->is_offline = offline == 1;
        return 0;
    case WIRE_FETCH_CONFIG_EXCLUDE_NEWER:
        config->has_exclude_newer = true;
        if (!name_read_time(field->value, &config->exclude_newer_us)) {
            return err_set(err, ERR_USAGE, "the time of exclude-newer is not one of RFC 3339");
        }
        return 0;
    default: break;
    }
    return err_set(err, ERR_PROTOCOL, "the configuration has a bad field %u", field->number);
}

int config_read(struct span record, struct config *out, struct err *err)
{
    struct wire_field field;
    int more;
    memset(out, 0, sizeof *out);
    while ((more = wire_next(&record, &field)) > 0) {
        if (take_field(out, &field, err) != 0) {
            return -1;
        }
    }
    if (more < 0) {
        return err_set(err, ERR_PROTOCOL, "the configuration is not a record");
    }
    return out->cache != NULL ? 0 : err_set(err, ERR_USAGE, "the configuration names no cache");
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->index_count; i++) {
        free(config->indexes[i]);
        free(config->index_names[i]);
    }
    for (size_t i = 0; i < config->mirror_count; i++) {
        free(config->mirror_texts[i]);
        free(config->mirrors[i].parts);
    }
    free(config->cache);
    free(config->lock);
    free(config->certificates);
    free(config->proxy);
}
