/*
 * What went wrong, in a form that can be shown to a person. Used by every program.
 *
 * Functions that can fail return 0 or -1 and take a `struct err *` last. The one who fails fills
 * it with err_set(); callers on the way may add one phrase in front with err_prefix(). Whoever
 * handles the error prints it; nobody both prints and returns it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdint.h>

enum err_code {
    ERR_NONE,
    ERR_USAGE,    /* the caller asked for something that does not exist or makes no sense */
    ERR_SYSTEM,   /* the operating system refused; the text names the call and errno */
    ERR_MEMORY,   /* out of memory */
    ERR_LIMIT,    /* a named limit was reached */
    ERR_BUSY,     /* not now; `retry_after_ms` says when it is worth trying again */
    ERR_FORMAT,   /* outside bytes are not what they claim to be */
    ERR_PROTOCOL, /* a peer broke the agreed order or size of messages */
    ERR_MISSING,  /* a file or part that is needed is not there */
    ERR_ENGINE,   /* the wasm engine refused */
    ERR_TRAP,     /* the guest trapped; its instance is lost */
    ERR_GONE,     /* the peer has closed its end */
};

#define ERR_TEXT_MAX 512

struct err {
    enum err_code code;
    uint64_t retry_after_ms; /* with ERR_BUSY */
    char text[ERR_TEXT_MAX];
};

/* Fills `err` (may be NULL) with a code and a printf-style sentence; returns -1, always. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set with ERR_SYSTEM, and ": " strerror(errno) added; returns -1, always. */
int err_system(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As err_set with ERR_BUSY, and "; try again after ..." added; returns -1, always. */
int err_set_busy(struct err *err, uint64_t retry_after_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a phrase and ": " before the text that is there; returns -1, always. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One lower-case word for a code, for logs and JSON. Static storage. */
const char *err_code_name(enum err_code code);

#endif
