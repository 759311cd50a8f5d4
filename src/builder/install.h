/* Where the files of a wheel go in a guest, and which are left out. */
#ifndef BUILDER_INSTALL_H
#define BUILDER_INSTALL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "guest/vfs/image.h"
#include "wheel/wheel.h"

enum install_kind {
    INSTALL_NOT,     /* scripts, headers, foreign bytecode, paths for the module site */
    INSTALL_SHADOW,  /* would stand before the standard library or the runner: left out, too */
    INSTALL_FILE,    /* as it is */
    INSTALL_SOURCE,  /* Python that bytecode is made of */
    INSTALL_LIBRARY, /* by its name a side module: NAME.so, NAME.so.1 */
};

/* `library` is the image that has the standard library. *path is relative to site-packages; it
 * borrows the wheel. */
enum install_kind install_kind(const struct wheel *wheel, size_t index, const struct image *library,
                               struct span *path);

/* The module or package that a path below site-packages belongs to: "numpy" for numpy/__init__.py
 * and for numpy.cpython-314.so. */
struct span install_top(struct span path);

/* "a/__pycache__/b.cpython-314.pyc" of "a/b.py", below site-packages; appends. 0 or -1. */
int install_bytecode_path(struct span source, struct buf *out);

#endif
