/* What dlopen has given out: structs of the C library's, each known by its address. */
#ifndef GUEST_ABI_DLOPEN_H
#define GUEST_ABI_DLOPEN_H

#include "base/err.h"
#include "base/save.h"

struct guest;

/* For a snapshot; loading comes after that of the libraries (loader_load). ERR_FORMAT. */
void handles_save(const struct guest *guest, struct saving *out);
int handles_load(struct guest *guest, struct loading *in, struct err *err);

#endif
