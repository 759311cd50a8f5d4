#include "packages/kept.h"

#include <stdlib.h>
#include <string.h>

/* Two passes over a request: the first one counts (with nothing to write to), the second copies. */
struct copier {
    char *texts;
    size_t text_bytes;
    const char **lists;
    size_t list_count;
};

static struct span put_span(struct copier *copier, struct span text)
{
    char *place = copier->texts == NULL ? NULL : copier->texts + copier->text_bytes;
    copier->text_bytes += text.len + 1;
    if (place != NULL) {
        if (text.len > 0) {
            memcpy(place, text.base, text.len);
        }
        place[text.len] = '\0';
    }
    return (struct span){place, text.len};
}

static const char *put_text(struct copier *copier, const char *text)
{
    return text == NULL ? NULL : put_span(copier, span_of(text)).base;
}

static void put_item(struct copier *copier, const char *text)
{
    const char *copy = put_text(copier, text);
    if (copier->lists != NULL) {
        copier->lists[copier->list_count] = copy;
    }
    copier->list_count++;
}

static const char *const *put_lists(struct copier *copier, char *const *first,
                                    const char *const *second)
{
    const char **start = copier->lists == NULL ? NULL : copier->lists + copier->list_count;
    if (first == NULL && second == NULL) {
        return NULL;
    }
    for (size_t i = 0; first != NULL && first[i] != NULL; i++) {
        put_item(copier, first[i]);
    }
    for (size_t i = 0; second != NULL && second[i] != NULL; i++) {
        put_item(copier, second[i]);
    }
    put_item(copier, NULL);
    return start;
}

static void put_request(struct copier *copier, struct run_request *out,
                        const struct run_request *request, char *const *more)
{
    *out = *request;
    out->code = put_span(copier, request->code);
    out->filename = put_text(copier, request->filename);
    out->globals_json = put_span(copier, request->globals_json);
    out->argv = put_lists(copier, NULL, request->argv);
    out->env = put_lists(copier, NULL, request->env);
    out->dependencies = put_lists(copier, more, request->dependencies);
    out->environment = NULL;
    out->resolved = (struct span){0};
}

int kept_copy(struct kept *kept, const struct run_request *request, char *const *more,
              struct err *err)
{
    struct copier copier = {0};
    put_request(&copier, &kept->request, request, more);
    kept->texts = malloc(copier.text_bytes + 1);
    kept->lists = calloc(copier.list_count + 1, sizeof *kept->lists);
    if (kept->texts == NULL || kept->lists == NULL) {
        kept_free(kept);
        return err_set(err, ERR_MEMORY, "no memory for a request");
    }
    copier = (struct copier){.texts = kept->texts, .lists = kept->lists};
    put_request(&copier, &kept->request, request, more);
    return 0;
}

void kept_free(struct kept *kept)
{
    free(kept->texts);
    free(kept->lists);
    *kept = (struct kept){0};
}
