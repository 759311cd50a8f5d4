#include "packages/hint.h"

#include <string.h>

static struct span next_line(struct span *rest)
{
    const char *end = memchr(rest->base, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->base);
    struct span line = {rest->base, len};
    size_t used = end == NULL ? len : len + 1;
    *rest = (struct span){rest->base + used, rest->len - used};
    return line;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span line)
{
    while (line.len > 0 && is_blank(line.base[0])) {
        line = (struct span){line.base + 1, line.len - 1};
    }
    while (line.len > 0 && is_blank(line.base[line.len - 1])) {
        line.len--;
    }
    return line;
}

static bool has(struct span line, const char *word)
{
    return memmem(line.base, line.len, word, strlen(word)) != NULL;
}

static bool starts_with(struct span line, const char *word)
{
    size_t len = strlen(word);
    return line.len >= len && memcmp(line.base, word, len) == 0;
}

bool hint_key(struct span code, const char *const *dependencies, uint8_t key[SUM_BYTES])
{
    struct sum sum;
    bool is_block = false; /* between "# /// script" and "# ///" */
    bool has_any = false;
    sum_begin(&sum);
    for (size_t i = 0; dependencies != NULL && dependencies[i] != NULL; i++) {
        sum_add(&sum, span_of(dependencies[i]));
        has_any = true;
    }
    sum_add(&sum, span_of(""));
    while (code.len > 0) {
        struct span line = trim(next_line(&code));
        bool is_fence = starts_with(line, "# ///");
        if (is_fence || (is_block && starts_with(line, "#")) || has(line, "import")) {
            sum_add(&sum, line);
            has_any = true;
        }
        is_block = is_fence ? !is_block : is_block && starts_with(line, "#");
    }
    return sum_end(&sum, key) == 0 && has_any;
}
