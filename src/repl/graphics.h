/*
 * Pictures on a terminal: which way it knows, and the bytes that show one. Runs in `vitrine`.
 *
 * kitty's protocol and iTerm2's take the file as it is, in base64; the terminal decodes it. Sixels
 * are made where the picture was (python/vitrine/sixel.py, in the program's own cell): nothing here
 * reads a picture. All of it comes from a guest: base64 is checked to be that and nothing else, and
 * of sixels only what draws is let through.
 */
#ifndef REPL_GRAPHICS_H
#define REPL_GRAPHICS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

enum graphics {
    GRAPHICS_FILE, /* saved, as the terminal shows none */
    GRAPHICS_KITTY,
    GRAPHICS_ITERM,
    GRAPHICS_SIXEL,
};

/* By what the terminal says of itself in the environment. */
enum graphics graphics_of_terminal(void);

/* Whether it is base64 (RFC 4648, padded) and nothing else. */
bool graphics_is_base64(struct span text);

/* Appends what shows a picture: base64 of a PNG for kitty, of any file for iTerm2. 0, or -1 when it
 * is no base64 or there is no room. */
int graphics_append_kitty(struct buf *out, struct span base64);
int graphics_append_iterm(struct buf *out, struct span base64);

/* Appends sixels (DEC STD 070), without their introducer and terminator, if they are only that:
 * digits, ';', '#', '!', '$', '-', '"', and '?' to '~'. 0 or -1. */
int graphics_append_sixels(struct buf *out, struct span sixels);

#endif
