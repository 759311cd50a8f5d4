/* fetch: names, times, addresses, proxies, pages and directories, as they should and should not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "fetch/address.h"
#include "fetch/config.h"
#include "fetch/html.h"
#include "fetch/known.h"
#include "fetch/lock.h"
#include "fetch/name.h"
#include "fetch/page.h"
#include "fetch/proxy.h"
#include "fetch/url.h"
#include "fetch/zipdir.h"
#include "wire/wire.h"

#define SUM "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void project_names(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"six", "six"},      {"Foo.Bar_baz", "foo-bar-baz"},
        {"a--..__b", "a-b"}, {"ruamel.yaml", "ruamel-yaml"},
        {"A", "a"},          {"0", "0"},
    };
    static const char *const bad[] = {"",     "-a",   "a-",  "a b",      "a/b", "../a", "a\n",
                                      "a==1", "a[b]", "a@b", "\xc3\xa9", ".",   "a%2f", "a?b"};
    char name[LIMIT_FETCH_NAME_BYTES_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(name_read_project(span_of(good[i][0]), name, sizeof name));
        assert_string_equal(name, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(name_read_project(span_of(bad[i]), name, sizeof name));
    }
    assert_false(name_read_project((struct span){"a\0b", 3}, name, sizeof name));
    assert_true(name_read_project(span_of("abcd"), name, 5));
    assert_false(name_read_project(span_of("abcde"), name, 5));
}

static void file_names(void **state)
{
    (void)state;
    static const struct {
        const char *filename;
        enum name_kind kind;
    } rows[] = {
        {"my_pkg-1.0-py3-none-any.whl", NAME_WHEEL},
        {"My.Pkg-1.0+local.1-1-py2.py3-none-any.whl", NAME_WHEEL},
        {"my_pkg-1!1.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl", NAME_WHEEL},
        {"my_pkg-1.0-cp314-cp314-win_amd64.whl", NAME_WHEEL_NATIVE},
        {"my_pkg-1.0-cp314-cp314-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
         NAME_WHEEL_NATIVE},
        {"my_pkg-1.0-cp314-cp314-linux_x86_64.any.whl", NAME_WHEEL},
        {"my_pkg-1.0.tar.gz", NAME_SDIST},
        {"my_pkg-1.0.zip", NAME_SDIST},
        {"other-1.0-py3-none-any.whl", NAME_OTHER},
        {"my_pkg-1.0-py3-none.whl", NAME_OTHER},
        {"my_pkg-1.0-1-2-py3-none-any.whl", NAME_OTHER},
        {"my_pkg--py3-none-any.whl", NAME_OTHER},
        {"../my_pkg-1.0-py3-none-any.whl", NAME_OTHER},
        {"my_pkg-1.0-py3-none-any.whl/", NAME_OTHER},
        {"my pkg-1.0-py3-none-any.whl", NAME_OTHER},
        {"my_pkg-1.0-py3-none-any.exe", NAME_OTHER},
        {".whl", NAME_OTHER},
        {"", NAME_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(name_file_kind(span_of(rows[i].filename), "my-pkg"), rows[i].kind);
    }
    assert_true(name_is_wheel(span_of("a-1-py3-none-any.whl")));
    assert_false(name_is_wheel(span_of("_a-1-py3-none-any.whl")));
    assert_false(name_is_wheel((struct span){"a-1-py3-none-a\0y.whl", 20}));
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01", 0},
        {"2000-02-29T12:00:00.5Z", 951825600500000},
        {"2000-02-29t12:00:00.1234567z", 951825600123456},
        {"2026-01-02T01:00:00+02:00", 1767308400000000},
        {"2026-01-01 18:30:00-04:30", 1767308400000000},
    };
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-13-01",
                                      "2026-00-01",
                                      "2026-01-32",
                                      "2026-01-01T",
                                      "2026-01-01T00:00",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00+2:00",
                                      "2026-01-01T00:00:00Zx",
                                      "2026-01-01T00:00:00.Zx"};
    int64_t us;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(name_read_time(span_of(good[i].text), &us));
        assert_true(us == good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(name_read_time(span_of(bad[i]), &us));
    }
}

static bool is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return address_is_public((const struct sockaddr *)&in);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_is_public((const struct sockaddr *)&in6);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1.1.1.1",     "9.255.255.255",   "11.0.0.0",         "100.63.255.255",
        "100.128.0.0", "126.255.255.255", "128.0.0.0",        "172.15.255.255",
        "172.32.0.0",  "192.167.1.1",     "223.255.255.255",  "2606:4700::1",
        "2a00::1",     "::ffff:1.1.1.1",  "64:ff9b::1.1.1.1", "2002:0101:0101::1"};
    static const char *const bad[] = {"0.0.0.0",
                                      "0.1.2.3",
                                      "10.0.0.1",
                                      "100.64.0.1",
                                      "100.127.255.255",
                                      "127.0.0.1",
                                      "127.255.255.255",
                                      "169.254.169.254",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.168.0.1",
                                      "224.0.0.1",
                                      "239.1.1.1",
                                      "240.0.0.1",
                                      "255.255.255.255",
                                      "198.18.0.1",
                                      "192.0.2.1",
                                      "::",
                                      "::1",
                                      "fe80::1",
                                      "fec0::1",
                                      "fc00::1",
                                      "fdff::1",
                                      "ff02::1",
                                      "2001:db8::1",
                                      "2001::1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:10.0.0.1",
                                      "::127.0.0.1",
                                      "64:ff9b::7f00:1",
                                      "64:ff9b:1::1",
                                      "2002:7f00:1::",
                                      "2002:a00:1::",
                                      "3fff::1",
                                      "4000::1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(is_public(good[i]));
        assert_false(address_is_private_literal(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(is_public(bad[i]));
        assert_true(address_is_private_literal(bad[i]));
    }
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(address_is_public(&other));
    assert_true(address_is_private_literal("[::1]"));
    assert_true(address_is_private_literal("[fe80::1%25eth0]"));
    assert_false(address_is_private_literal("localhost"));
    assert_false(address_is_private_literal(""));
}

static void proxies(void **state)
{
    (void)state;
    assert_true(proxy_is_bypassed("*", "a.org"));
    assert_true(proxy_is_bypassed("x, .a.org", "b.a.org"));
    assert_true(proxy_is_bypassed("a.org", "B.A.ORG"));
    assert_true(proxy_is_bypassed("a.org:8443", "a.org"));
    assert_true(proxy_is_bypassed("a.org,::1", "[::1]"));
    assert_false(proxy_is_bypassed("a.org", "ba.org"));
    assert_false(proxy_is_bypassed("b.a.org", "a.org"));
    assert_false(proxy_is_bypassed(", ,", "a.org"));
    assert_false(proxy_is_bypassed(NULL, "a.org"));
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("no_proxy");
    setenv("HTTPS_PROXY", "", 1);
    setenv("ALL_PROXY", "socks5h://s", 1);
    setenv("NO_PROXY", "inside", 1);
    assert_string_equal(proxy_for(NULL, "a.org"), "socks5h://s");
    assert_null(proxy_for(NULL, "x.inside"));
    setenv("HTTPS_PROXY", "http://p", 1);
    assert_string_equal(proxy_for(NULL, "a.org"), "http://p");
    assert_string_equal(proxy_for("http://q", "a.org"), "http://q");
    unsetenv("HTTPS_PROXY");
    unsetenv("ALL_PROXY");
    assert_null(proxy_for(NULL, "a.org"));
}

static bool resolves(const char *reference, const char *wanted, const char *fragment)
{
    struct url_base base;
    cleanup_buf struct buf url;
    cleanup_buf struct buf anchor;
    buf_init(&url, LIMIT_FETCH_URL_BYTES_MAX);
    buf_init(&anchor, LIMIT_FETCH_URL_BYTES_MAX);
    assert_true(url_base_open(&base, "https://u:p@host.org/simple/demo/"));
    bool is_good = url_resolve(&base, span_of(reference), &url, &anchor);
    url_base_close(&base);
    return is_good && strcmp(url.base, wanted) == 0 &&
           span_equal(buf_span(&anchor), span_of(fragment));
}

static void links(void **state)
{
    (void)state;
    assert_true(resolves("../../p/a.whl#sha256=1", "https://host.org/p/a.whl", "sha256=1"));
    assert_true(resolves("/p/a.whl", "https://host.org/p/a.whl", ""));
    assert_true(resolves("a.whl", "https://host.org/simple/demo/a.whl", ""));
    assert_true(resolves("//other.org/a.whl", "https://other.org/a.whl", ""));
    assert_true(resolves("HTTPS://Other.org/a.whl?x=1#y", "https://Other.org/a.whl?x=1", "y"));
    static const char *const bad[] = {
        "http://host.org/a",      "file:///a", "javascript:x", "https://u@host.org/a",
        "https://u:p@host.org/a", "",          "https:///a",   "ftp://host.org/a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(resolves(bad[i], "https://host.org/a", ""));
    }
    struct url_origin origin;
    assert_true(url_read_origin("https://HOST.org/x", &origin));
    assert_string_equal(origin.host, "host.org");
    assert_string_equal(origin.port, "443");
    assert_true(url_read_origin("https://0x7f.1:8443/x", &origin));
    assert_string_equal(origin.host, "127.0.0.1");
    assert_false(url_read_origin("http://host.org", &origin));
}

/* The values of one attribute of all tags of a name, with '|' behind each. */
static void assert_attributes(const char *html, const char *name, const char *wanted)
{
    cleanup_buf struct buf all;
    cleanup_buf struct buf value;
    buf_init(&all, 1024);
    buf_init(&value, 1024);
    struct span rest = span_of(html);
    struct html_tag tag;
    while (html_next_tag(&rest, &tag)) {
        if (html_tag_is(&tag, "a") && html_attribute(&tag, name, &value)) {
            assert_int_equal(buf_append(&all, value.base, value.len), 0);
            assert_int_equal(buf_append_char(&all, '|'), 0);
        }
    }
    assert_int_equal(buf_append_char(&all, '\0'), 0);
    assert_string_equal(all.base, wanted);
}

static void tags(void **state)
{
    (void)state;
    assert_attributes("<a href=x><a href='y'>\n<A\nHREF = \"z\">", "href", "x|y|z|");
    assert_attributes("<a href=x/y/>", "href", "x/y/|");
    assert_attributes("<a/href=x/><a href>", "href", "x/||");
    assert_attributes("<a href='a>b' href=c>", "href", "a>b|");
    assert_attributes("<abbr href=x></a href=x><a.b href=x>< a href=x>", "href", "");
    assert_attributes("<!-- <a href=x> --><a href=y><!--><a href=z>", "href", "y|z|");
    assert_attributes("<!doctype <a href=x><?a <a href=x><a href=y>", "href", "y|");
    assert_attributes("<script><a href=x></scripty><a href=x></SCRIPT ><a href=y>", "href", "y|");
    assert_attributes("<title><a href=x></title><a href=y>", "href", "y|");
    assert_attributes("<a href=x", "href", "");
    assert_attributes("<a href='x>", "href", "");
    assert_attributes("<a href='&amp;&lt;&gt;&quot;&#39;&#x26;&#65;&#xe9;'>", "href",
                      "&<>\"'&A\xc3\xa9|");
    assert_attributes("<a href='&amp &nope; &#; &#x; &# &#1114112; &#xD800;'>", "href",
                      "&amp &nope; &#; &#x; &# \xef\xbf\xbd \xef\xbf\xbd|");
}

static int read_page(const char *type, const char *body, struct page **page)
{
    struct page_input input = {.body = span_of(body),
                               .content_type = type,
                               .url = "https://host.org/simple/demo/",
                               .project = "demo"};
    struct err err;
    int status = page_read(&input, page, &err);
    if (status != 0) {
        assert_true(err.code == ERR_FORMAT || err.code == ERR_LIMIT);
    }
    return status;
}

#define JSON "application/vnd.pypi.simple.v1+json"

static void pages(void **state)
{
    (void)state;
    struct page *page;
    assert_int_equal(
        read_page(JSON "; charset=utf-8",
                  "{\"meta\":{\"api-version\":\"1.4\"},\"files\":[1,null,{},"
                  "{\"filename\":\"demo-1-py3-none-any.whl\",\"url\":\"x\",\"hashes\":{\"sha256\":"
                  "\"" SUM "\"},\"yanked\":true,\"size\":7,\"dist-info-metadata\":{\"sha256\":"
                  "\"" SUM "\"}},"
                  "{\"filename\":\"demo-2-py3-none-any.whl\",\"url\":\"x\",\"hashes\":{}},"
                  "{\"filename\":\"demo-3-py3-none-any.whl\",\"url\":\"x\",\"hashes\":{\"sha256\":"
                  "\"12\"}},"
                  "{\"filename\":\"demo-4-py3-none-any.whl\",\"url\":\"http://x/\",\"hashes\":{"
                  "\"sha256\":\"" SUM "\"}}]}",
                  &page),
        0);
    assert_non_null(page->files);
    assert_null(page->files->next);
    assert_string_equal(page->files->url, "https://host.org/simple/demo/x");
    assert_string_equal(page->files->yanked, "");
    assert_int_equal(page->files->size, 7);
    assert_string_equal(page->files->sum.hex, page->files->metadata_sum.hex);
    assert_int_equal(page->left_out.no_hash, 2);
    assert_int_equal(page->left_out.other, 4);
    page_free(page);
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"files\":[]}",
                                      "{\"files\":[],\"meta\":{}}",
                                      "{\"files\":[],\"meta\":{\"api-version\":\"2.0\"}}",
                                      "{\"files\":[],\"meta\":{\"api-version\":1.0}}",
                                      "{\"files\":{},\"meta\":{\"api-version\":\"1.0\"}}",
                                      "{\"files\":[],\"meta\":{\"api-version\":\"1.0\"}} x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_page(JSON, bad[i], &page), -1);
    }
    assert_int_equal(read_page("application/json", "{}", &page), -1);
    assert_int_equal(read_page("Text/HTML;charset=utf-8",
                               "<base href='/q/'><base href='/r/'>"
                               "<a href='demo-1-py3-none-any.whl#x=1&amp;sha256=" SUM "'>",
                               &page),
                     0);
    assert_string_equal(page->files->url, "https://host.org/q/demo-1-py3-none-any.whl");
    page_free(page);
}

static void known_files(void **state)
{
    (void)state;
    struct known *known;
    struct page *page;
    struct err err;
    assert_int_equal(known_new(&known, &err), 0);
    const char *body = "<a href='demo-1-py3-none-any.whl#sha256=" SUM "'>"
                       "<a href='demo-2-py3-none-any.whl#sha256=" SUM "'>";
    struct name_sum sum;
    assert_true(name_read_sum(span_of(SUM), &sum));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(read_page("text/html", body, &page), 0);
        assert_int_equal(known_add(known, page, &err), 0);
    }
    assert_non_null(known_page(known, "demo"));
    assert_null(known_page(known, "other"));
    assert_non_null(known_file(known, sum.hex, false));
    assert_int_equal(read_page("text/html", "", &page), 0);
    assert_int_equal(known_add(known, page, &err), 0);
    assert_null(known_file(known, sum.hex, false));
    known_free(known);
}

static void lock_files(void **state)
{
    (void)state;
    struct lock lock;
    struct err err;
    struct name_sum sum;
    assert_true(name_read_sum(span_of(SUM), &sum));
    assert_int_equal(
        lock_read(span_of("{\"packages\":{\"a\":{\"name\":\"A.b\",\"file_name\":"
                          "\"A.b-1-py3-none-any.whl\",\"sha256\":\"" SUM "\"},"
                          "\"b\":{\"name\":\"b\",\"file_name\":\"../b-1-py3-none-any.whl\","
                          "\"sha256\":\"" SUM "\"},\"c\":[],\"d\":{\"file_name\":\"d.zip\"}}}"),
                  &lock, &err),
        0);
    assert_int_equal(lock.count, 1);
    assert_string_equal(lock_find(&lock, sum.hex)->project, "a-b");
    assert_null(lock_find(&lock, "x"));
    lock_free(&lock);
    assert_int_equal(lock_read(span_of("{\"packages\":[]}"), &lock, &err), -1);
    assert_int_equal(lock_read(span_of("{"), &lock, &err), -1);
}

/* An archive of one stored member "in/x" that holds "hello". */
static const char archive[] = "PK\3\4\12\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\5\0\0\0\4\0\0\0in/xhello"
                              "PK\1\2\12\0\12\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\5\0\0\0\4\0\0\0\0\0"
                              "\0\0\0\0\0\0\0\0\0\0\0\0in/x"
                              "PK\5\6\0\0\0\0\1\0\1\0\62\0\0\0\47\0\0\0\0\0";

enum { MEMBER_BYTES = 39, DIRECTORY_BYTES = 50, ARCHIVE_BYTES = sizeof archive - 1 };

static int unpack(const char *bytes, struct buf *out)
{
    struct zipdir_place place;
    struct zipdir dir;
    struct err err;
    if (zipdir_find((struct span){bytes + MEMBER_BYTES, ARCHIVE_BYTES - MEMBER_BYTES},
                    ARCHIVE_BYTES, &place, &err) != 0 ||
        place.at + place.len > ARCHIVE_BYTES ||
        zipdir_read((struct span){bytes + place.at, place.len}, &place, &dir, &err) != 0) {
        return -1;
    }
    const struct zipdir_member *member = zipdir_member(&dir, "in", "x");
    int status = -1;
    if (member != NULL && member->at + member->range <= ARCHIVE_BYTES) {
        status = zipdir_unpack(member, (struct span){bytes + member->at, member->range}, out, &err);
    }
    zipdir_free(&dir);
    return status;
}

static void directories(void **state)
{
    (void)state;
    assert_int_equal(ARCHIVE_BYTES, MEMBER_BYTES + DIRECTORY_BYTES + 22);
    cleanup_buf struct buf out;
    buf_init(&out, 100);
    assert_int_equal(unpack(archive, &out), 0);
    assert_true(span_equal(buf_span(&out), span_of("hello")));
    /* Each of these bytes, when it changes, makes the archive another one or none. */
    static const size_t places[] = {0,       8,       26,      30,      39,      39 + 8,
                                    39 + 10, 39 + 20, 39 + 24, 39 + 28, 39 + 42, 39 + 46,
                                    89,      89 + 4,  89 + 8,  89 + 10, 89 + 12, 89 + 16};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char bytes[ARCHIVE_BYTES];
        memcpy(bytes, archive, sizeof bytes);
        bytes[places[i]] = (char)(bytes[places[i]] ^ 1);
        buf_clear(&out);
        assert_int_equal(unpack(bytes, &out), -1);
    }
}

static void configurations(void **state)
{
    (void)state;
    static const struct {
        uint8_t field;
        const char *text;
        int status;
    } rows[] = {
        {WIRE_FETCH_CONFIG_INDEX, "https://u:p@h/simple", 0},
        {WIRE_FETCH_CONFIG_INDEX, "http://h/simple", -1},
        {WIRE_FETCH_CONFIG_INDEX, "/simple", -1},
        {WIRE_FETCH_CONFIG_MIRROR, "/folder", 0},
        {WIRE_FETCH_CONFIG_MIRROR, "folder", -1},
        {WIRE_FETCH_CONFIG_MIRROR, "https://h/x", 0},
        {WIRE_FETCH_CONFIG_MIRROR, "http://h/x", -1},
        {WIRE_FETCH_CONFIG_MIRROR, "index:A.b==1/a-1-py3-none-any.whl#" SUM "/x/y", 0},
        {WIRE_FETCH_CONFIG_MIRROR, "index:A.b==1/../a-1-py3-none-any.whl#" SUM "/x/y", -1},
        {WIRE_FETCH_CONFIG_MIRROR, "index:A.b==1/a-1-py3-none-any.whl#" SUM "/", -1},
        {WIRE_FETCH_CONFIG_MIRROR, "index:A.b/a-1-py3-none-any.whl#" SUM "/x", -1},
        {WIRE_FETCH_CONFIG_EXCLUDE_NEWER, "2026-01-01", 0},
        {WIRE_FETCH_CONFIG_EXCLUDE_NEWER, "now", -1},
        {WIRE_FETCH_CONFIG_CERTIFICATES, "", -1},
        {99, "x", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_buf struct buf record;
        struct config config;
        struct err err;
        buf_init(&record, 4096);
        assert_int_equal(wire_put(&record, WIRE_FETCH_CONFIG_CACHE, span_of("/cache")), 0);
        assert_int_equal(wire_put(&record, rows[i].field, span_of(rows[i].text)), 0);
        assert_int_equal(config_read(buf_span(&record), &config, &err), rows[i].status);
        if (i == 0) {
            assert_string_equal(config.index_names[0], "https://h/simple");
        }
        config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(project_names), cmocka_unit_test(file_names),
        cmocka_unit_test(times),         cmocka_unit_test(addresses),
        cmocka_unit_test(proxies),       cmocka_unit_test(links),
        cmocka_unit_test(tags),          cmocka_unit_test(pages),
        cmocka_unit_test(known_files),   cmocka_unit_test(lock_files),
        cmocka_unit_test(directories),   cmocka_unit_test(configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
