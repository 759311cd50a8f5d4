#include "repl/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/utf8.h"

void history_init(struct history *history)
{
    *history = (struct history){0};
}

void history_free(struct history *history)
{
    for (unsigned i = 0; i < history->count; i++) {
        free(history->blocks[i]);
    }
    *history = (struct history){0};
}

void history_rewind(struct history *history)
{
    history->at = history->count;
}

void history_add(struct history *history, struct span block)
{
    history_rewind(history);
    if (block.len == 0 || *block.base == ' ' || memchr(block.base, '\0', block.len) != NULL) {
        return;
    }
    if (history->count > 0 && span_equal(block, span_of(history->blocks[history->count - 1]))) {
        return;
    }
    char *copy = strndup(block.base, block.len);
    if (copy == NULL) {
        return; /* it cannot be had again; nothing else is lost */
    }
    if (history->count == LIMIT_REPL_HISTORY_COUNT_MAX) {
        free(history->blocks[0]);
        memmove(history->blocks, history->blocks + 1,
                (LIMIT_REPL_HISTORY_COUNT_MAX - 1) * sizeof *history->blocks);
        history->count--;
    }
    history->blocks[history->count++] = copy;
    history_rewind(history);
}

const char *history_previous(struct history *history)
{
    return history->at == 0 ? NULL : history->blocks[--history->at];
}

const char *history_next(struct history *history)
{
    if (history->at >= history->count) {
        return NULL;
    }
    history->at++;
    return history->at == history->count ? NULL : history->blocks[history->at];
}

int history_search(const struct history *history, struct span text, unsigned before)
{
    for (unsigned i = before; i > 0; i--) {
        const char *block = history->blocks[i - 1];
        if (memmem(block, strlen(block), text.base, text.len) != NULL) {
            return (int)i - 1;
        }
    }
    return -1;
}

/* ---- The file -------------------------------------------------------------------------------- */

static void take_file(struct history *history, struct span text)
{
    cleanup_buf struct buf block;
    buf_init(&block, LIMIT_REPL_INPUT_BYTES_MAX);
    for (size_t i = 0; i < text.len; i++) {
        const char byte = text.base[i];
        if (byte == '\n') {
            if (utf8_valid(buf_span(&block))) {
                history_add(history, buf_span(&block));
            }
            buf_clear(&block);
        } else if (byte == '\\' && i + 1 < text.len) {
            i++;
            (void)buf_append_char(&block, text.base[i]); /* too long: it is cut */
        } else {
            (void)buf_append_char(&block, byte);
        }
    }
}

int history_load(struct history *history, const char *path, struct err *err)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_REPL_HISTORY_BYTES_MAX);
    if (fd_read_file(path, &text, err) != 0) {
        return err->code == ERR_MISSING ? 0 : -1;
    }
    take_file(history, buf_span(&text));
    return 0;
}

static int append_block(struct buf *out, const char *block)
{
    int failed = 0;
    for (const char *c = block; *c != '\0' && failed == 0; c++) {
        if (*c == '\n' || *c == '\\') {
            failed = buf_append_char(out, '\\');
        }
        failed |= buf_append_char(out, *c);
    }
    return failed | buf_append_char(out, '\n');
}

int history_save(const struct history *history, const char *path, struct err *err)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_REPL_HISTORY_BYTES_MAX);
    unsigned first = history->count;
    size_t bytes = 0; /* the youngest blocks that fit */
    while (first > 0) {
        bytes += 2 * strlen(history->blocks[first - 1]) + 1;
        if (bytes > LIMIT_REPL_HISTORY_BYTES_MAX) {
            break;
        }
        first--;
    }
    for (unsigned i = first; i < history->count; i++) {
        if (append_block(&text, history->blocks[i]) != 0) {
            return err_set(err, ERR_MEMORY, "no memory to write the history");
        }
    }
    return fd_write_file(path, buf_span(&text), err);
}
