#include "repl/graphics.h"

#include <stdlib.h>
#include <string.h>

enum { KITTY_CHUNK = 4096 };

static bool has(const char *variable, const char *part)
{
    const char *text = getenv(variable);
    return text != NULL && strstr(text, part) != NULL;
}

enum graphics graphics_of_terminal(void)
{
    if (getenv("TMUX") != NULL || has("TERM", "screen")) {
        return GRAPHICS_FILE; /* a multiplexer stands between, and draws text */
    }
    if (getenv("KITTY_WINDOW_ID") != NULL || has("TERM", "kitty") || has("TERM", "ghostty") ||
        has("TERM_PROGRAM", "ghostty")) {
        return GRAPHICS_KITTY;
    }
    if (has("TERM_PROGRAM", "iTerm") || has("TERM_PROGRAM", "WezTerm") ||
        has("TERM_PROGRAM", "vscode") || has("LC_TERMINAL", "iTerm")) {
        return GRAPHICS_ITERM;
    }
    if (has("TERM", "sixel") || has("TERM", "foot") || has("TERM", "mlterm") ||
        has("TERM", "contour")) {
        return GRAPHICS_SIXEL;
    }
    return GRAPHICS_FILE;
}

static bool is_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static size_t padding(struct span text)
{
    size_t count = 0;
    while (count < 2 && count < text.len && text.base[text.len - 1 - count] == '=') {
        count++;
    }
    return count;
}

bool graphics_is_base64(struct span text)
{
    if (text.len == 0 || text.len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len - padding(text); i++) {
        if (!is_digit(text.base[i])) {
            return false;
        }
    }
    return true;
}

int graphics_append_kitty(struct buf *out, struct span base64)
{
    if (!graphics_is_base64(base64)) {
        return -1;
    }
    int failed = 0;
    for (size_t at = 0; at < base64.len && failed == 0; at += KITTY_CHUNK) {
        const size_t left = base64.len - at;
        const size_t len = left < KITTY_CHUNK ? left : KITTY_CHUNK;
        /* a=T: transmit and show; f=100: PNG; q=2: no answers, which would look like keys. */
        failed |= buf_append_format(out, "\x1B_G%sm=%d;", at == 0 ? "a=T,f=100,q=2," : "q=2,",
                                    left > len ? 1 : 0);
        failed |= buf_append(out, base64.base + at, len);
        failed |= buf_append_text(out, "\x1B\\");
    }
    return failed | buf_append_text(out, "\n");
}

int graphics_append_iterm(struct buf *out, struct span base64)
{
    if (!graphics_is_base64(base64)) {
        return -1;
    }
    int failed = buf_append_format(
        out, "\x1B]1337;File=inline=1;size=%zu:", base64.len / 4 * 3 - padding(base64));
    failed |= buf_append(out, base64.base, base64.len);
    return failed | buf_append_text(out, "\x07\n");
}

int graphics_append_sixels(struct buf *out, struct span sixels)
{
    for (size_t i = 0; i < sixels.len; i++) {
        const char c = sixels.base[i];
        const bool draws = (c >= '?' && c <= '~') || (c >= '0' && c <= '9') ||
                           (c != '\0' && strchr(";#!$-\"", c) != NULL);
        if (!draws) {
            return -1;
        }
    }
    int failed = buf_append_text(out, "\x1BPq");
    failed |= buf_append(out, sixels.base, sixels.len);
    return failed | buf_append_text(out, "\x1B\\\n");
}
