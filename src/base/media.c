#include "base/media.h"

#include <strings.h>

#include "base/utf8.h"

enum { SNIFFED_BYTES = 4096, EXTENSION_BYTES_MAX = 12 };

static const char octets[] = "application/octet-stream";

/* What begins like this is that, whatever its name says. */
static const struct {
    const char *bytes;
    size_t len;
    size_t at;
    const char *type;
} beginnings[] = {
    {"\x89PNG\r\n\x1a\n", 8, 0, "image/png"},
    {"\xff\xd8\xff", 3, 0, "image/jpeg"},
    {"GIF87a", 6, 0, "image/gif"},
    {"GIF89a", 6, 0, "image/gif"},
    {"WEBP", 4, 8, "image/webp"},
    {"WAVE", 4, 8, "audio/wav"},
    {"%PDF-", 5, 0, "application/pdf"},
    {"SQLite format 3\0", 16, 0, "application/vnd.sqlite3"},
    {"PAR1", 4, 0, "application/vnd.apache.parquet"},
    {"ARROW1", 6, 0, "application/vnd.apache.arrow.file"},
    {"\x1f\x8b", 2, 0, "application/gzip"},
    {"\xfd"
     "7zXZ\0",
     6, 0, "application/x-xz"},
    {"BZh", 3, 0, "application/x-bzip2"},
    {"\x28\xb5\x2f\xfd", 4, 0, "application/zstd"},
    {"\x89HDF\r\n\x1a\n", 8, 0, "application/x-hdf5"},
    {"\x93NUMPY", 6, 0, "application/x-npy"},
};

/* A zip is what its name says: many formats are zips. */
static const struct {
    const char *extension;
    const char *type;
    bool is_zip;
} extensions[] = {
    {"csv", "text/csv", false},
    {"tsv", "text/tab-separated-values", false},
    {"txt", "text/plain", false},
    {"log", "text/plain", false},
    {"md", "text/markdown", false},
    {"rst", "text/x-rst", false},
    {"html", "text/html", false},
    {"htm", "text/html", false},
    {"css", "text/css", false},
    {"py", "text/x-python", false},
    {"tex", "text/x-tex", false},
    {"js", "text/javascript", false},
    {"json", "application/json", false},
    {"geojson", "application/geo+json", false},
    {"jsonl", "application/jsonl", false},
    {"ndjson", "application/x-ndjson", false},
    {"ipynb", "application/x-ipynb+json", false},
    {"xml", "application/xml", false},
    {"yaml", "application/yaml", false},
    {"yml", "application/yaml", false},
    {"toml", "application/toml", false},
    {"sql", "application/sql", false},
    {"svg", "image/svg+xml", false},
    {"png", "image/png", false},
    {"jpg", "image/jpeg", false},
    {"jpeg", "image/jpeg", false},
    {"gif", "image/gif", false},
    {"webp", "image/webp", false},
    {"bmp", "image/bmp", false},
    {"tif", "image/tiff", false},
    {"tiff", "image/tiff", false},
    {"ico", "image/vnd.microsoft.icon", false},
    {"wav", "audio/wav", false},
    {"mp3", "audio/mpeg", false},
    {"mp4", "video/mp4", false},
    {"webm", "video/webm", false},
    {"pdf", "application/pdf", false},
    {"parquet", "application/vnd.apache.parquet", false},
    {"arrow", "application/vnd.apache.arrow.file", false},
    {"feather", "application/vnd.apache.arrow.file", false},
    {"sqlite", "application/vnd.sqlite3", false},
    {"db", "application/vnd.sqlite3", false},
    {"h5", "application/x-hdf5", false},
    {"npy", "application/x-npy", false},
    {"pkl", "application/x-pickle", false},
    {"tar", "application/x-tar", false},
    {"gz", "application/gzip", false},
    {"bz2", "application/x-bzip2", false},
    {"xz", "application/x-xz", false},
    {"zst", "application/zstd", false},
    {"zip", "application/zip", true},
    {"npz", "application/x-npz", true},
    {"whl", "application/zip", true},
    {"epub", "application/epub+zip", true},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", true},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", true},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", true},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet", true},
    {"odt", "application/vnd.oasis.opendocument.text", true},
};

static bool begins(struct span content, size_t at, const char *bytes, size_t len)
{
    return content.len >= at + len && memcmp(content.base + at, bytes, len) == 0;
}

static const char *type_of_bytes(struct span content)
{
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        const bool is_riff = beginnings[i].at == 0 || begins(content, 0, "RIFF", 4);
        if (is_riff && begins(content, beginnings[i].at, beginnings[i].bytes, beginnings[i].len)) {
            return beginnings[i].type;
        }
    }
    return NULL;
}

static const char *type_of_name(struct span name, bool *is_zip)
{
    const char *dot = name.len > 0 ? memrchr(name.base, '.', name.len) : NULL;
    const size_t len = dot == NULL ? 0 : (size_t)(name.base + name.len - dot - 1);
    for (size_t i = 0;
         len > 0 && len <= EXTENSION_BYTES_MAX && i < sizeof extensions / sizeof *extensions; i++) {
        if (strlen(extensions[i].extension) == len &&
            strncasecmp(extensions[i].extension, dot + 1, len) == 0) {
            *is_zip = extensions[i].is_zip;
            return extensions[i].type;
        }
    }
    return NULL;
}

/* By its first bytes: a character may be cut at their end. */
static bool is_text(struct span content)
{
    const struct span part = {content.base,
                              content.len < SNIFFED_BYTES ? content.len : SNIFFED_BYTES};
    if (part.len > 0 && memchr(part.base, '\0', part.len) != NULL) {
        return false;
    }
    const size_t valid = utf8_valid_prefix(part);
    return valid == part.len || (part.len < content.len && part.len - valid < 4);
}

bool media_is_text(const char *type)
{
    static const char *const texts[] = {
        "application/json",     "application/geo+json",     "application/jsonl",
        "application/x-ndjson", "application/x-ipynb+json", "application/xml",
        "application/yaml",     "application/toml",         "application/sql",
        "image/svg+xml",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(type, texts[i]) == 0) {
            return true;
        }
    }
    return strncmp(type, "text/", strlen("text/")) == 0;
}

const char *media_type(struct span name, struct span content)
{
    bool is_zip = false;
    const char *by_bytes = type_of_bytes(content);
    const char *by_name = type_of_name(name, &is_zip);
    if (by_bytes != NULL) {
        return by_bytes;
    }
    if (begins(content, 0, "PK\3\4", 4) || begins(content, 0, "PK\5\6", 4)) {
        return is_zip ? by_name : "application/zip";
    }
    if (by_name != NULL && (content.len == 0 || media_is_text(by_name) == is_text(content))) {
        return by_name;
    }
    if (content.len == 0) {
        return octets;
    }
    return is_text(content)                            ? "text/plain"
           : by_name == NULL || media_is_text(by_name) ? octets
                                                       : by_name;
}
