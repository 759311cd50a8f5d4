/* Pages in HTML, PEP 503, with the attributes of PEP 592, 629, 658 and 714. */
#include <string.h>

#include "fetch/html.h"
#include "fetch/page_reader.h"

struct texts {
    struct buf href, metadata, requires_python, yanked;
};

static struct span attribute(const struct html_tag *tag, const char *name, struct buf *text)
{
    if (!html_attribute(tag, name, text)) {
        return (struct span){NULL, 0};
    }
    return text->base == NULL ? span_of("") : buf_span(text);
}

/* The value is "true" or "sha256=HEX". */
static struct span metadata_sum(const struct html_tag *tag, struct buf *text)
{
    static const char key[] = "sha256=";
    struct span value = attribute(tag, "data-core-metadata", text);
    if (value.base == NULL) {
        value = attribute(tag, "data-dist-info-metadata", text);
    }
    if (value.len < strlen(key) || memcmp(value.base, key, strlen(key)) != 0) {
        return (struct span){NULL, 0};
    }
    return (struct span){value.base + strlen(key), value.len - strlen(key)};
}

static int add_link(struct page_reader *reader, const struct html_tag *tag, struct texts *texts,
                    struct err *err)
{
    struct page_entry entry = {
        .href = attribute(tag, "href", &texts->href),
        .metadata_sum = metadata_sum(tag, &texts->metadata),
        .requires_python = attribute(tag, "data-requires-python", &texts->requires_python),
        .yanked = attribute(tag, "data-yanked", &texts->yanked),
    };
    return entry.href.base == NULL ? 0 : page_add(reader, &entry, err);
}

/* <base href>, the first one; it may itself be relative. */
static void set_base(struct page_reader *reader, const struct html_tag *tag, struct texts *texts)
{
    struct url_base base;
    struct span href = attribute(tag, "href", &texts->href);
    if (url_resolve(&reader->base, href, &reader->url, &reader->fragment) &&
        url_base_open(&base, reader->url.base)) {
        url_base_close(&reader->base);
        reader->base = base;
    }
}

/* <meta name="pypi:repository-version" content="1.0"> */
static bool is_version_unknown(const struct html_tag *tag, struct texts *texts)
{
    return span_equal(attribute(tag, "name", &texts->href), span_of("pypi:repository-version")) &&
           !page_version_is_known(attribute(tag, "content", &texts->href));
}

static int read_tags(struct page_reader *reader, struct texts *texts, struct err *err)
{
    bool has_base = false;
    struct html_tag tag;
    struct span rest = reader->input->body;
    while (html_next_tag(&rest, &tag)) {
        if (html_tag_is(&tag, "a")) {
            if (add_link(reader, &tag, texts, err) != 0) {
                return -1;
            }
        } else if (html_tag_is(&tag, "base") && !has_base) {
            set_base(reader, &tag, texts);
            has_base = true;
        } else if (html_tag_is(&tag, "meta") && is_version_unknown(&tag, texts)) {
            return err_set(err, ERR_FORMAT,
                           "the page is of another version than 1 of the interface");
        }
    }
    return 0;
}

int page_read_html(struct page_reader *reader, struct err *err)
{
    struct texts texts;
    struct buf *all[] = {&texts.href, &texts.metadata, &texts.requires_python, &texts.yanked};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_init(all[i], LIMIT_FETCH_URL_BYTES_MAX);
    }
    int status = read_tags(reader, &texts, err);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_free(all[i]);
    }
    return status;
}
