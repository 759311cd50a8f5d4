#include "builder/about.h"

#include "base/jtext.h"
#include "builder/install.h"
#include "wheel/text.h"

static bool is_identifier(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                         (unsigned char)c >= 0x80;
        if (!is_letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0;
}

/* Whether a file makes the module or package above it one that can be imported. */
static bool is_code(enum install_kind kind, struct span path)
{
    return kind == INSTALL_SOURCE || kind == INSTALL_LIBRARY ||
           (kind == INSTALL_FILE && path.len > 3 &&
            memcmp(path.base + path.len - 3, ".py", 3) == 0);
}

/* Files come sorted, so that those of one package lie together; "numpy.py" and "numpy/x.py" do not,
 * hence the comparison with all that has been written. */
static int append_top(struct buf *out, size_t start, struct span top)
{
    cleanup_buf struct buf name;
    buf_init(&name, out->bytes_max);
    if (jtext_append_string(&name, top) != 0) {
        return -1;
    }
    if (out->len > start && memmem(out->base + start, out->len - start, name.base, name.len)) {
        return 0;
    }
    return (out->len > start && buf_append_text(out, ", ") != 0) ||
                   buf_append(out, name.base, name.len) != 0
               ? -1
               : 0;
}

static int append_tops(const struct about *about, struct buf *out)
{
    struct span last = {0};
    size_t start = out->len;
    for (size_t i = 0; i < wheel_file_count(about->wheel); i++) {
        struct span path;
        enum install_kind kind = install_kind(about->wheel, i, about->library, &path);
        if (!is_code(kind, path)) {
            continue;
        }
        struct span top = install_top(path);
        if (is_identifier(top) && !span_equal(top, last) && append_top(out, start, top) != 0) {
            return -1;
        }
        last = top;
    }
    return 0;
}

static int append_requires(const struct about *about, struct buf *out)
{
    struct span rest = wheel_metadata(about->wheel);
    struct text_header header;
    bool is_first = true;
    while (text_header_next(&rest, &header)) {
        if (!text_header_is(&header, "Requires-Dist")) {
            continue;
        }
        if ((!is_first && buf_append_text(out, ", ") != 0) ||
            jtext_append_string(out, header.value) != 0) {
            return -1;
        }
        is_first = false;
    }
    return 0;
}

int about_write(const struct about *about, struct buf *out)
{
    struct span name = wheel_name(about->wheel);
    (void)text_header_find(wheel_metadata(about->wheel), "Name", &name, NULL);
    return buf_append_text(out, "{\"name\": ") != 0 || jtext_append_string(out, name) != 0 ||
                   buf_append_text(out, ", \"version\": ") != 0 ||
                   jtext_append_string(out, wheel_version(about->wheel)) != 0 ||
                   buf_append_format(out, ", \"sha256\": \"%s\", \"file\": ", about->sha256) != 0 ||
                   jtext_append_string(out, span_of(about->filename)) != 0 ||
                   buf_append_text(out, ", \"top_level\": [") != 0 ||
                   append_tops(about, out) != 0 ||
                   buf_append_text(out, "], \"requires\": [") != 0 ||
                   append_requires(about, out) != 0 ||
                   buf_append_format(out, "], \"files\": %zu, \"modules\": %zu}\n", about->files,
                                     about->modules) != 0
               ? -1
               : 0;
}
