#include "packages/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* Two passes over a request: the first one counts (with nothing to write to), the second copies. */
struct copier {
    char *texts;
    size_t text_bytes;
    const char **lists;
    size_t list_count;
    struct run_file *files;
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

static const struct run_file *put_files(struct copier *copier, const struct run_file *files,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = put_text(copier, files[i].name);
        const struct span bytes = put_span(copier, files[i].bytes);
        if (copier->files != NULL) {
            copier->files[i] = (struct run_file){name, bytes};
        }
    }
    return copier->files;
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
    out->files = put_files(copier, request->files, request->file_count);
    out->environment = NULL;
    out->resolved = (struct span){0};
}

int kept_copy(struct kept *kept, const struct run_request *request, char *const *more,
              struct err *err)
{
    struct copier copier = {0};
    if (request->file_count > LIMIT_GIVEN_COUNT_MAX) { /* before there is a table of them */
        return err_set(err, ERR_LIMIT, "%zu files come with the program, %u at most",
                       request->file_count, LIMIT_GIVEN_COUNT_MAX);
    }
    put_request(&copier, &kept->request, request, more);
    kept->texts = malloc(copier.text_bytes + 1);
    kept->lists = calloc(copier.list_count + 1, sizeof *kept->lists);
    kept->files = calloc(request->file_count + 1, sizeof *kept->files);
    if (kept->texts == NULL || kept->lists == NULL || kept->files == NULL) {
        kept_free(kept);
        return err_set(err, ERR_MEMORY, "no memory for a request");
    }
    copier = (struct copier){.texts = kept->texts, .lists = kept->lists, .files = kept->files};
    put_request(&copier, &kept->request, request, more);
    return 0;
}

void kept_free(struct kept *kept)
{
    free(kept->texts);
    free(kept->lists);
    free(kept->files);
    *kept = (struct kept){0};
}
