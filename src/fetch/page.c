#include "fetch/page.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/jtext.h"
#include "base/utf8.h"
#include "fetch/page_reader.h"

/* Copies a text to *at, moves *at behind it, and returns the copy; NULL for an absent one. */
static const char *put_text(char **at, struct span text)
{
    if (text.base == NULL) {
        return NULL;
    }
    char *copy = *at;
    memcpy(copy, text.base, text.len);
    copy[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

static struct page_file *file_new(const struct page_entry *entry, struct span url, size_t *bytes)
{
    *bytes = sizeof(struct page_file) + entry->filename.len + url.len + entry->requires_python.len +
             entry->upload_time.len + entry->yanked.len + 5;
    struct page_file *file = calloc(1, *bytes);
    if (file == NULL) {
        return NULL;
    }
    char *at = (char *)(file + 1);
    file->filename = put_text(&at, entry->filename);
    file->url = put_text(&at, url);
    file->requires_python = put_text(&at, entry->requires_python);
    file->upload_time = put_text(&at, entry->upload_time);
    file->yanked = put_text(&at, entry->yanked);
    file->size = entry->size;
    return file;
}

/* The sum in a fragment: sha256=HEX, alone or between other pairs. */
static struct span sum_in_fragment(struct span fragment)
{
    static const char key[] = "sha256=";
    while (fragment.len > 0) {
        const char *end = memchr(fragment.base, '&', fragment.len);
        size_t len = end == NULL ? fragment.len : (size_t)(end - fragment.base);
        if (len >= strlen(key) && memcmp(fragment.base, key, strlen(key)) == 0) {
            return (struct span){fragment.base + strlen(key), len - strlen(key)};
        }
        len += end != NULL;
        fragment = (struct span){fragment.base + len, fragment.len - len};
    }
    return (struct span){NULL, 0};
}

static bool is_text(struct span text)
{
    return text.len <= LIMIT_FETCH_URL_BYTES_MAX && utf8_valid(text) &&
           (text.len == 0 || memchr(text.base, '\0', text.len) == NULL);
}

static bool is_too_new(const struct page_input *input, struct span upload_time)
{
    int64_t time_us;
    return input->has_exclude_newer &&
           (!name_read_time(upload_time, &time_us) || time_us > input->exclude_newer_us);
}

/* What speaks against an entry whose kind is already known to be a wheel: the counter, or NULL. */
static uint64_t *objection(struct page_reader *reader, struct page_entry *entry,
                           struct name_sum *sum)
{
    struct page *page = reader->page;
    if (!is_text(entry->requires_python) || !is_text(entry->upload_time) ||
        !is_text(entry->yanked) || entry->size > LIMIT_FETCH_WHEEL_BYTES_MAX) {
        return &page->left_out.other;
    }
    if (entry->sum.base == NULL) {
        entry->sum = sum_in_fragment(buf_span(&reader->fragment));
    }
    return name_read_sum(entry->sum, sum) ? NULL : &page->left_out.no_hash;
}

static uint64_t *objection_to_kind(struct page *page, struct span filename)
{
    switch (name_file_kind(filename, page->project)) {
    case NAME_WHEEL: return NULL;
    case NAME_WHEEL_NATIVE: return &page->left_out.native;
    case NAME_SDIST: return &page->left_out.sdist;
    case NAME_OTHER: break;
    }
    return &page->left_out.other;
}

/* Files for other machines are most of many pages; they are told by their name, before anything is
 * resolved. */
static uint64_t *judge(struct page_reader *reader, struct page_entry *entry, struct name_sum *sum)
{
    struct page *page = reader->page;
    bool has_name = entry->filename.base != NULL;
    uint64_t *counter = has_name ? objection_to_kind(page, entry->filename) : NULL;
    if (counter != NULL) {
        return counter;
    }
    if (!url_resolve(&reader->base, entry->href, &reader->url, &reader->fragment)) {
        return &page->left_out.other;
    }
    if (!has_name) {
        if (!url_file_name(reader->url.base, &reader->name)) {
            return &page->left_out.other;
        }
        entry->filename = buf_span(&reader->name);
        counter = objection_to_kind(page, entry->filename);
    }
    return counter != NULL ? counter : objection(reader, entry, sum);
}

int page_add(struct page_reader *reader, const struct page_entry *given, struct err *err)
{
    struct page *page = reader->page;
    struct page_entry entry = *given;
    struct name_sum sum;
    if (++reader->file_count > LIMIT_FETCH_PAGE_FILES_MAX) {
        return err_set(err, ERR_LIMIT, "the page has more than %u files",
                       LIMIT_FETCH_PAGE_FILES_MAX);
    }
    uint64_t *counter = judge(reader, &entry, &sum);
    if (counter != NULL) {
        (*counter)++;
        return 0;
    }
    size_t bytes;
    struct page_file *file = file_new(&entry, buf_span(&reader->url), &bytes);
    if (file == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the page's files");
    }
    file->sum = sum;
    if (!name_read_sum(entry.metadata_sum, &file->metadata_sum)) {
        file->metadata_sum.hex[0] = '\0';
    }
    file->is_too_new = is_too_new(reader->input, entry.upload_time);
    page->left_out.too_new += file->is_too_new;
    page->bytes += bytes;
    *reader->last = file;
    reader->last = &file->next;
    return 0;
}

bool page_version_is_known(struct span version)
{
    return version.len >= 2 && version.base[0] == '1' && version.base[1] == '.';
}

/* The media type alone, without parameters, ignoring case (RFC 9110). */
static bool content_type_is(const char *content_type, const char *type)
{
    size_t len = strcspn(content_type, "; \t");
    return len == strlen(type) && strncasecmp(content_type, type, len) == 0;
}

static int read_body(struct page_reader *reader, struct err *err)
{
    const char *type = reader->input->content_type;
    if (content_type_is(type, "application/vnd.pypi.simple.v1+json")) {
        return page_read_json(reader, err);
    }
    if (content_type_is(type, "application/vnd.pypi.simple.v1+html") ||
        content_type_is(type, "text/html")) {
        return page_read_html(reader, err);
    }
    return err_set(err, ERR_FORMAT, "the answer is '%.80s', not a page of an index", type);
}

int page_read(const struct page_input *input, struct page **out, struct err *err)
{
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a page");
    }
    page->index = input->index;
    page->bytes = sizeof *page;
    size_t project_bytes = strlen(input->project) + 1;
    struct page_reader reader = {.input = input, .page = page, .last = &page->files};
    buf_init(&reader.url, LIMIT_FETCH_URL_BYTES_MAX + 1);
    buf_init(&reader.fragment, LIMIT_FETCH_URL_BYTES_MAX + 1);
    buf_init(&reader.name, LIMIT_FETCH_URL_BYTES_MAX + 1);
    int status = -1;
    if (project_bytes > sizeof page->project || !url_base_open(&reader.base, input->url)) {
        err_set(err, ERR_FORMAT, "the page's address is not an https address");
    } else {
        memcpy(page->project, input->project, project_bytes);
        status = read_body(&reader, err);
        url_base_close(&reader.base);
    }
    buf_free(&reader.url);
    buf_free(&reader.fragment);
    buf_free(&reader.name);
    if (status != 0) {
        page_free(page);
        return -1;
    }
    *out = page;
    return 0;
}

void page_free(struct page *page)
{
    if (page == NULL) {
        return;
    }
    for (struct page_file *file = page->files; file != NULL;) {
        struct page_file *next = file->next;
        free(file);
        file = next;
    }
    free(page);
}

/* Appends ,"KEY":"TEXT" when there is a text. */
static int write_text(struct buf *out, const char *key, const char *text)
{
    if (text == NULL) {
        return 0;
    }
    return buf_append_format(out, ",\"%s\":", key) != 0 ||
                   jtext_append_string(out, span_of(text)) != 0
               ? -1
               : 0;
}

static int write_file(const struct page_file *file, struct buf *out)
{
    if (buf_append_format(out,
                          "{\"filename\":\"%s\",\"url\":\"%s/%s\",\"hashes\":{\"sha256\":\"%s\"},"
                          "\"core-metadata\":true",
                          file->filename, file->sum.hex, file->filename, file->sum.hex) != 0 ||
        write_text(out, "requires-python", file->requires_python) != 0 ||
        write_text(out, "upload-time", file->upload_time) != 0) {
        return -1;
    }
    if (file->size != 0 &&
        buf_append_format(out, ",\"size\":%llu", (unsigned long long)file->size) != 0) {
        return -1;
    }
    /* A reason is optional, and an empty string would read as "not yanked". */
    if (file->yanked != NULL && file->yanked[0] == '\0') {
        return buf_append_text(out, ",\"yanked\":true}");
    }
    return write_text(out, "yanked", file->yanked) != 0 ? -1 : buf_append_char(out, '}');
}

int page_write(const struct page *page, struct buf *out)
{
    if (buf_append_format(out,
                          "{\"meta\":{\"api-version\":\"1.1\"},\"name\":\"%s\",\"index\":%u,"
                          "\"left_out\":{\"sdist\":%llu,\"native\":%llu,\"no_hash\":%llu,"
                          "\"too_new\":%llu,\"other\":%llu},\"files\":[",
                          page->project, page->index, (unsigned long long)page->left_out.sdist,
                          (unsigned long long)page->left_out.native,
                          (unsigned long long)page->left_out.no_hash,
                          (unsigned long long)page->left_out.too_new,
                          (unsigned long long)page->left_out.other) != 0) {
        return -1;
    }
    bool is_first = true;
    for (const struct page_file *file = page->files; file != NULL; file = file->next) {
        if (file->is_too_new) {
            continue;
        }
        if ((!is_first && buf_append_char(out, ',') != 0) || write_file(file, out) != 0) {
            return -1;
        }
        is_first = false;
    }
    return buf_append_text(out, "]}");
}
