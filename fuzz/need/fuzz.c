/*
 * What a guest says it needs. A need that is taken is written again and read again, and is the
 * same; each of its texts is a requirement that cannot be anything else to pip.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "packages/names.h"
#include "packages/need.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct span name;
        struct span text = span_of(list->items[i]);
        assert(name_check_requirement(text, &name, NULL) == 0 && name_is_project(name));
        assert(strpbrk(list->items[i], "@/\\:\n\r") == NULL && list->items[i][0] != '-');
        assert(i == 0 || strcmp(list->items[i - 1], list->items[i]) < 0);
    }
}

static void check_same(const struct text_list *a, const struct text_list *b)
{
    assert(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert(strcmp(a->items[i], b->items[i]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    cleanup_need struct need need = {0};
    if (need_parse(&need, (struct span){(const char *)data, size}, &err) != 0) {
        assert(err.text[0] != '\0' && strchr(err.text, '\n') == NULL);
        return 0;
    }
    cleanup_need struct need again = {0};
    cleanup_buf struct buf text;
    buf_init(&text, 2 * LIMIT_NEED_BYTES_MAX);
    check_list(&need.requirements);
    check_list(&need.guesses);
    int appended = need_append_json(&text, &need);
    int parsed = need_parse(&again, buf_span(&text), &err);
    assert(appended == 0 && parsed == 0);
    check_same(&need.requirements, &again.requirements);
    check_same(&need.guesses, &again.guesses);
    return 0;
}
