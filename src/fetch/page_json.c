/* Pages in JSON, PEP 691 and 700. */
#include <stdlib.h>

#include "base/jtext.h"
#include "fetch/page_reader.h"

/* The texts of one file, decoded; kept from file to file for their memory. */
struct texts {
    struct buf filename, href, sum, metadata_sum, requires_python, upload_time, yanked;
};

/* Decodes a member that is a string; the absent span when it is missing, null or anything else. */
static struct span member_text(struct span object, const char *key, struct buf *text)
{
    struct span value;
    buf_clear(text);
    if (!jtext_find(object, key, &value) || jtext_type(value) != JTEXT_STRING ||
        jtext_string_decode(text, value) != 0) {
        return (struct span){NULL, 0};
    }
    return text->base == NULL ? span_of("") : buf_span(text);
}

/* PEP 714: the newer key counts. The value is true, or the sums of the file. */
static struct span metadata_sum(struct span file, struct buf *text)
{
    static const char *const keys[] = {"core-metadata", "dist-info-metadata",
                                       "data-dist-info-metadata"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct span value;
        if (jtext_find(file, keys[i], &value) && jtext_type(value) == JTEXT_OBJECT) {
            return member_text(value, "sha256", text);
        }
    }
    return (struct span){NULL, 0};
}

/* PEP 592: false, true, or the reason. An empty reason is as none (PEP 691: truthy is yanked). */
static struct span yanked(struct span file, struct buf *text)
{
    struct span value;
    if (jtext_find(file, "yanked", &value) && span_equal(value, span_of("true"))) {
        return span_of("");
    }
    struct span reason = member_text(file, "yanked", text);
    return reason.len == 0 ? (struct span){NULL, 0} : reason;
}

static uint64_t size_of(struct span file)
{
    struct span value;
    if (!jtext_find(file, "size", &value) || jtext_type(value) != JTEXT_NUMBER ||
        !jtext_is_integer(value) || value.len > 15 || value.base[0] == '-') {
        return 0;
    }
    uint64_t size = 0;
    for (size_t i = 0; i < value.len; i++) {
        size = size * 10 + (uint64_t)(value.base[i] - '0');
    }
    return size;
}

static int add_file(struct page_reader *reader, struct span file, struct texts *texts,
                    struct err *err)
{
    struct span hashes = {NULL, 0};
    (void)jtext_find(file, "hashes", &hashes);
    struct page_entry entry = {
        .filename = member_text(file, "filename", &texts->filename),
        .href = member_text(file, "url", &texts->href),
        .sum = hashes.len == 0 ? hashes : member_text(hashes, "sha256", &texts->sum),
        .metadata_sum = metadata_sum(file, &texts->metadata_sum),
        .requires_python = member_text(file, "requires-python", &texts->requires_python),
        .upload_time = member_text(file, "upload-time", &texts->upload_time),
        .yanked = yanked(file, &texts->yanked),
        .size = size_of(file),
    };
    if (entry.filename.base == NULL || entry.href.base == NULL) {
        reader->page->left_out.other++;
        return 0;
    }
    return page_add(reader, &entry, err);
}

static int add_files(struct page_reader *reader, struct span files, struct err *err)
{
    struct texts texts;
    struct buf *all[] = {
        &texts.filename,        &texts.href,        &texts.sum,   &texts.metadata_sum,
        &texts.requires_python, &texts.upload_time, &texts.yanked};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_init(all[i], LIMIT_FETCH_URL_BYTES_MAX);
    }
    int status = 0;
    struct span key;
    struct span file;
    struct jtext_cursor cursor = jtext_open(files);
    while (status == 0 && jtext_next(&cursor, &key, &file)) {
        if (jtext_type(file) == JTEXT_OBJECT) {
            status = add_file(reader, file, &texts, err);
        } else {
            reader->page->left_out.other++;
        }
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_free(all[i]);
    }
    return status;
}

int page_read_json(struct page_reader *reader, struct err *err)
{
    struct span root;
    struct span meta;
    struct span files;
    if (jtext_check(reader->input->body, JTEXT_LONE_SURROGATES, &root, err) != 0) {
        return err_prefix(err, "the page is not JSON");
    }
    if (jtext_type(root) != JTEXT_OBJECT || !jtext_find(root, "files", &files) ||
        jtext_type(files) != JTEXT_ARRAY || !jtext_find(root, "meta", &meta) ||
        jtext_type(meta) != JTEXT_OBJECT) {
        return err_set(err, ERR_FORMAT, "the page's JSON is not that of PEP 691");
    }
    cleanup_buf struct buf version;
    buf_init(&version, 32);
    if (!page_version_is_known(member_text(meta, "api-version", &version))) {
        return err_set(err, ERR_FORMAT, "the page is of another version than 1 of the interface");
    }
    return add_files(reader, files, err);
}
