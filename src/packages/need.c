#include "packages/need.h"

#include <stdlib.h>
#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "packages/names.h"

/* ---- Lists ----------------------------------------------------------------------------------- */

/* The first place whose text is not less; *is_there says whether it is equal. */
static size_t list_place(const struct text_list *list, const char *text, bool *is_there)
{
    size_t i = 0;
    while (i < list->count && strcmp(list->items[i], text) < 0) {
        i++;
    }
    *is_there = i < list->count && strcmp(list->items[i], text) == 0;
    return i;
}

static int list_add(struct text_list *list, struct span text, struct err *err)
{
    bool is_there;
    char *copy = strndup(text.base, text.len);
    if (copy == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a requirement");
    }
    size_t at = list_place(list, copy, &is_there);
    if (is_there) {
        free(copy);
        return 0;
    }
    if (list->count == LIMIT_REQUIREMENTS_MAX) {
        free(copy);
        return err_set(err, ERR_LIMIT, "more than %u requirements", LIMIT_REQUIREMENTS_MAX);
    }
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        free(copy);
        return err_set(err, ERR_MEMORY, "no memory for a requirement");
    }
    list->items = items;
    memmove(items + at + 1, items + at, (list->count - at) * sizeof *items);
    items[at] = copy;
    list->count++;
    return 0;
}

static void list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct text_list){0};
}

static int requirement_add(struct text_list *list, struct span text, struct err *err)
{
    return name_check_requirement(text, NULL, err) != 0 ? -1 : list_add(list, text, err);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int list_parse(struct text_list *list, struct span array, struct err *err)
{
    struct span key;
    struct span item;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_REQUIREMENT_BYTES_MAX);
    if (jtext_type(array) != JTEXT_ARRAY) {
        return err_set(err, ERR_FORMAT, "a need's lists are not arrays");
    }
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        buf_clear(&text);
        if (jtext_type(item) != JTEXT_STRING) {
            return err_set(err, ERR_FORMAT, "a requirement is not a text");
        }
        if (jtext_string_decode(&text, item) != 0) {
            return err_set(err, ERR_LIMIT, "a requirement has more than %u bytes",
                           LIMIT_REQUIREMENT_BYTES_MAX);
        }
        if (requirement_add(list, buf_span(&text), err) != 0) {
            return -1;
        }
    }
    return 0;
}

int need_parse(struct need *need, struct span json, struct err *err)
{
    struct span object;
    struct span key;
    struct span value;
    unsigned seen = 0;
    *need = (struct need){0};
    if (json.len > LIMIT_NEED_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "a need has more than %llu bytes", LIMIT_NEED_BYTES_MAX);
    }
    if (jtext_check(json, JTEXT_STRICT, &object, err) != 0) {
        return err_prefix(err, "what the program needs");
    }
    if (jtext_type(object) != JTEXT_OBJECT) {
        return err_set(err, ERR_FORMAT, "a need is not an object");
    }
    struct jtext_cursor cursor = jtext_open(object);
    while (jtext_next(&cursor, &key, &value)) {
        bool is_requirements = jtext_string_is(key, "requirements");
        if (!is_requirements && !jtext_string_is(key, "guesses")) {
            return err_set(err, ERR_FORMAT, "a need has an unknown member");
        }
        if (list_parse(is_requirements ? &need->requirements : &need->guesses, value, err) != 0) {
            return -1;
        }
        seen++;
    }
    return seen == 2 ? 0 : err_set(err, ERR_FORMAT, "a need lacks a member");
}

int need_check_requirements(const char *const *texts, struct err *err)
{
    size_t count = 0;
    for (; texts != NULL && texts[count] != NULL; count++) {
        if (name_check_requirement(span_of(texts[count]), NULL, err) != 0) {
            return -1;
        }
    }
    return count <= LIMIT_REQUIREMENTS_MAX ? 0
                                           : err_set(err, ERR_LIMIT, "%zu requirements, %u at most",
                                                     count, LIMIT_REQUIREMENTS_MAX);
}

int need_add_requirements(struct need *need, const char *const *texts, struct err *err)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        char name[NAME_SIZE];
        struct span text = span_of(texts[i]);
        if (name_is_project(text)) { /* as the guest spells it */
            name_normalize(text, name);
            text = span_of(name);
        }
        if (requirement_add(&need->requirements, text, err) != 0) {
            return -1;
        }
    }
    return 0;
}

void need_free(struct need *need)
{
    list_free(&need->requirements);
    list_free(&need->guesses);
}

/* ---- Uses ------------------------------------------------------------------------------------ */

static int list_append(struct buf *out, const struct text_list *list)
{
    if (buf_append_char(out, '[') != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->count; i++) {
        if ((i > 0 && buf_append_char(out, ',') != 0) ||
            jtext_append_string(out, span_of(list->items[i])) != 0) {
            return -1;
        }
    }
    return buf_append_char(out, ']');
}

int need_append_json(struct buf *out, const struct need *need)
{
    if (buf_append_text(out, "{\"requirements\":") != 0 ||
        list_append(out, &need->requirements) != 0 || buf_append_text(out, ",\"guesses\":") != 0 ||
        list_append(out, &need->guesses) != 0) {
        return -1;
    }
    return buf_append_char(out, '}');
}

static void list_sum(struct sum *sum, const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sum_add(sum, span_of(list->items[i]));
    }
    sum_add(sum, span_of("")); /* no requirement is empty: here the list ends */
}

void need_sum(struct sum *sum, const struct need *need)
{
    list_sum(sum, &need->requirements);
    list_sum(sum, &need->guesses);
}

bool need_is_pinned(const struct need *need)
{
    struct span name;
    struct span version;
    for (size_t i = 0; i < need->requirements.count; i++) {
        if (!name_is_pinned(span_of(need->requirements.items[i]), &name, &version)) {
            return false;
        }
    }
    return need->guesses.count == 0;
}

bool need_swap(struct need *out, const struct need *need)
{
    bool has_guesses = need->guesses.count > 0;
    const struct text_list *list = has_guesses ? &need->guesses : &need->requirements;
    if (has_guesses && need->requirements.count > 0) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!name_is_project(span_of(list->items[i]))) {
            return false;
        }
    }
    *out = (struct need){.requirements = need->guesses, .guesses = need->requirements};
    return true;
}

bool need_is_empty(const struct need *need)
{
    return need->requirements.count == 0 && need->guesses.count == 0;
}
