#include "repl/keys.h"

#include <string.h>

#include "base/utf8.h"

#define ESC '\x1B'

static const char paste_end[] = "\x1B[201~";

struct sequence {
    const char *text; /* behind ESC */
    enum key_code code;
};

static const struct sequence sequences[] = {
    {"[A", KEY_UP},           {"[B", KEY_DOWN},
    {"[C", KEY_RIGHT},        {"[D", KEY_LEFT},
    {"[H", KEY_HOME},         {"[F", KEY_END},
    {"OA", KEY_UP},           {"OB", KEY_DOWN},
    {"OC", KEY_RIGHT},        {"OD", KEY_LEFT},
    {"OH", KEY_HOME},         {"OF", KEY_END},
    {"[1~", KEY_HOME},        {"[7~", KEY_HOME},
    {"[4~", KEY_END},         {"[8~", KEY_END},
    {"[3~", KEY_DELETE},      {"[5~", KEY_PREVIOUS},
    {"[6~", KEY_NEXT},        {"[1;5C", KEY_WORD_RIGHT},
    {"[1;5D", KEY_WORD_LEFT}, {"[1;3C", KEY_WORD_RIGHT},
    {"[1;3D", KEY_WORD_LEFT}, {"[1;5H", KEY_FIRST},
    {"[1;5F", KEY_LAST},      {"[27;2;13~", KEY_NEWLINE}, /* Shift-Enter, where terminals tell it */
    {"[13;2u", KEY_NEWLINE},  {"\r", KEY_NEWLINE},
    {"\n", KEY_NEWLINE},      {"b", KEY_WORD_LEFT},
    {"f", KEY_WORD_RIGHT},    {"d", KEY_KILL_WORD_AHEAD},
    {"\x7F", KEY_KILL_WORD},  {"<", KEY_FIRST},
    {">", KEY_LAST},
};

/* Ctrl-A is 1. */
static const struct {
    char byte;
    enum key_code code;
} controls[] = {
    {1, KEY_HOME},
    {2, KEY_LEFT},
    {3, KEY_INTERRUPT},
    {4, KEY_END_OF_FILE},
    {5, KEY_END},
    {6, KEY_RIGHT},
    {7, KEY_CANCEL},
    {8, KEY_BACKSPACE},
    {9, KEY_TAB},
    {10, KEY_ENTER},
    {11, KEY_KILL_TO_END},
    {12, KEY_CLEAR_SCREEN},
    {13, KEY_ENTER},
    {14, KEY_NEXT},
    {16, KEY_PREVIOUS},
    {18, KEY_SEARCH},
    {21, KEY_KILL_TO_START},
    {23, KEY_KILL_WORD},
    {25, KEY_YANK},
    {0x7F, KEY_BACKSPACE},
};

/* Whether a control sequence (ECMA-48: ESC [ parameters final) has come to its end. */
static bool is_whole_sequence(const char *held, size_t len)
{
    if (len < 2) {
        return false;
    }
    if (held[1] == 'O') {
        return len == 3;
    }
    if (held[1] != '[') {
        return true;
    }
    const char last = held[len - 1];
    return len > 2 && last >= 0x40 && last <= 0x7E;
}

static void take_sequence(struct keys *keys, void (*on_key)(void *, const struct key *),
                          void *context)
{
    const struct span text = {keys->held + 1, keys->held_len - 1};
    keys->held_len = 0;
    if (span_equal(text, span_of("[200~"))) {
        keys->is_pasting = true;
        return;
    }
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (span_equal(text, span_of(sequences[i].text))) {
            on_key(context, &(struct key){.code = sequences[i].code});
            return;
        }
    }
}

static void take_control(char byte, void (*on_key)(void *, const struct key *), void *context)
{
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (controls[i].byte == byte) {
            on_key(context, &(struct key){.code = controls[i].code});
            return;
        }
    }
}

/* One byte while a sequence is open. */
static void feed_sequence(struct keys *keys, char byte, void (*on_key)(void *, const struct key *),
                          void *context)
{
    if (byte == ESC && keys->held_len == 1) {
        return; /* the first one was the key Escape: it does nothing */
    }
    if (keys->held_len == sizeof keys->held) {
        keys->is_dropping = true;
        keys->held_len = 2;
    }
    keys->held[keys->held_len++] = byte;
    if (!is_whole_sequence(keys->held, keys->held_len)) {
        return;
    }
    if (keys->is_dropping) {
        keys->is_dropping = false;
        keys->held_len = 0;
        return;
    }
    take_sequence(keys, on_key, context);
}

/* One byte of a character; what is no UTF-8 is dropped. */
static void feed_text(struct keys *keys, char byte, void (*on_key)(void *, const struct key *),
                      void *context)
{
    const unsigned char lead = (unsigned char)(keys->held_len > 0 ? keys->held[0] : byte);
    const size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    keys->held[keys->held_len++] = byte;
    if (keys->held_len < len) {
        return;
    }
    const struct span text = {keys->held, keys->held_len};
    if (utf8_valid(text)) {
        on_key(context,
               &(struct key){.code = KEY_TEXT, .text = text, .is_pasted = keys->is_pasting});
    }
    keys->held_len = 0;
}

/* One byte of pasted text, in which the closing bracket alone means something. */
static void feed_paste(struct keys *keys, char byte, void (*on_key)(void *, const struct key *),
                       void *context)
{
    const size_t end_len = sizeof paste_end - 1;
    if (byte == ESC) {
        keys->held[0] = ESC;
        keys->held_len = 1;
        return;
    }
    if (keys->held_len > 0 && keys->held[0] == ESC) {
        keys->held[keys->held_len++] = byte;
        if (memcmp(keys->held, paste_end, keys->held_len) != 0) {
            keys->held_len = 0;
        } else if (keys->held_len == end_len) {
            keys->held_len = 0;
            keys->is_pasting = false;
        }
        return;
    }
    const bool is_second = byte == '\n' && keys->has_return;
    keys->has_return = byte == '\r';
    if (!is_second) {
        feed_text(keys, byte == '\r' ? '\n' : byte, on_key, context);
    }
}

void keys_feed(struct keys *keys, struct span bytes,
               void (*on_key)(void *context, const struct key *key), void *context)
{
    for (size_t i = 0; i < bytes.len; i++) {
        const char byte = bytes.base[i];
        if (keys->is_pasting) {
            feed_paste(keys, byte, on_key, context);
        } else if (keys->held_len > 0 && keys->held[0] == ESC) {
            feed_sequence(keys, byte, on_key, context);
        } else if (byte == ESC) {
            keys->held[0] = ESC;
            keys->held_len = 1;
        } else if (((unsigned char)byte < 0x20 || byte == 0x7F)) {
            keys->held_len = 0;
            take_control(byte, on_key, context);
        } else {
            feed_text(keys, byte, on_key, context);
        }
    }
}
