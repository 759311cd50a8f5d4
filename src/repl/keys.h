/*
 * Bytes from a terminal -> keys. Runs in `vitrine`.
 *
 * Knows what xterm and its kin send: control characters, UTF-8, sequences of cursor and editing
 * keys with their modifiers, and pasted text between its brackets (DEC private mode 2004), in which
 * no byte is a key. A sequence may be cut anywhere; one that is not known is dropped whole.
 */
#ifndef REPL_KEYS_H
#define REPL_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum key_code {
    KEY_TEXT,    /* one character, or a piece of pasted text; see key.text */
    KEY_ENTER,   /* submits where the input is complete */
    KEY_NEWLINE, /* Alt-Enter: a new line in any case */
    KEY_TAB,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_WORD_LEFT,
    KEY_WORD_RIGHT,
    KEY_HOME,
    KEY_END,
    KEY_FIRST, /* of all lines */
    KEY_LAST,
    KEY_KILL_TO_END,
    KEY_KILL_TO_START,
    KEY_KILL_WORD, /* before the cursor */
    KEY_KILL_WORD_AHEAD,
    KEY_YANK,
    KEY_CLEAR_SCREEN,
    KEY_PREVIOUS, /* in the history */
    KEY_NEXT,
    KEY_SEARCH, /* backwards in the history */
    KEY_INTERRUPT,
    KEY_END_OF_FILE, /* Ctrl-D: also deletes forward */
    KEY_CANCEL,      /* Ctrl-G */
};

struct key {
    enum key_code code;
    struct span text; /* of KEY_TEXT: well-formed UTF-8, borrowed until the callback returns */
    bool is_pasted;
};

enum { KEYS_HELD_MAX = 32 };

struct keys {
    char held[KEYS_HELD_MAX]; /* the beginning of a character or a sequence */
    size_t held_len;
    bool is_pasting;
    bool has_return;  /* the last pasted byte was one: a newline behind it is the same line's end */
    bool is_dropping; /* inside a sequence that is too long to be one of ours */
};

/* Calls `on_key` for each key in `bytes`. */
void keys_feed(struct keys *keys, struct span bytes,
               void (*on_key)(void *context, const struct key *key), void *context);

#endif
