/*
 * What the programs say to each other: frames, and the records inside them. Used by `vitrine`
 * (pool) and `vitrine-cell` (cell, guest); the guest's runner has the same tables in
 * python/vitrine/wire.py, and a test compares the two.
 *
 * Three kinds of sockets carry frames:
 *   - the cell socket (SOCK_STREAM): the pool and one cell; one request down, output and one end
 *     up; with a cell that stays for a session, again and again;
 *   - the control socket (SOCK_SEQPACKET): the pool and the zygote; a FORK carries the cell's end
 *     of its new cell socket as SCM_RIGHTS;
 *   - the fetch socket (SOCK_STREAM): `vitrine` and `vitrine-fetch`; questions down, answers up.
 *
 * A frame is 8 bytes of header - u32 payload length, u8 type, three zero bytes - and the payload.
 * All integers are little-endian. Each type has one direction, one socket and one maximum size
 * (wire_frames[]); whoever gets a frame that breaks its row treats the peer as hostile.
 *
 * A record is a sequence of fields: u8 field number, u32 length, bytes. Fields may repeat where
 * their row says so; unknown fields, and numbers of the wrong width, are errors.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define WIRE_HEADER_BYTES 8

enum wire_type {
    /* pool -> cell, on the cell socket */
    WIRE_REQUEST = 1, /* record of enum wire_request_field */
    WIRE_FETCHED =
        2,         /* the answer to a FETCH: u32 enum wire_fetch_status, then the bytes or text */
    WIRE_SAVE = 3, /* empty; to a session's cell between two requests: STATE follows */
    WIRE_RESTORE = 4,    /* record of enum wire_request_field, limits alone; the first one to a
                            session's cell. STATE_PARTs follow, an empty one is the last */
    WIRE_STATE_PART = 5, /* bytes of a state (guest/guest.h) */
    WIRE_SPLIT = 6,      /* empty; to a session's cell that rests: it is to make a copy of itself,
                            which the zygote has been told before (SPLIT_CELL). It answers with
                            SPLIT_DONE */
    /* cell -> pool, on the cell socket */
    WIRE_STDOUT = 16, /* bytes as the guest wrote them */
    WIRE_STDERR = 17,
    WIRE_RESULT = 18,  /* record of enum wire_result_field, written by the guest: not trusted */
    WIRE_END = 19,     /* record of enum wire_end_field, written by the cell; the last frame */
    WIRE_FETCH = 20,   /* record of enum wire_fetch_field; only from a cell that was granted it. The
                          cell waits for FETCHED before it says anything else */
    WIRE_DISPLAY = 21, /* json object of texts by MIME type, written by the guest: not trusted */
    WIRE_FILE = 22,    /* record of enum wire_file_field: a file that the program made or changed.
                          Only where the request asked for it, and behind RESULT */
    WIRE_FILE_DATA = 23,  /* bytes of the file that was told last, in order, until all are there */
    WIRE_STATE = 26,      /* bytes of the guest's state, after SAVE */
    WIRE_STATE_END = 27,  /* u32 enum err_code, then text: how saving or restoring went */
    WIRE_SPLIT_DONE = 24, /* u32: 0, or the error number with which it failed */
    /* pool -> zygote, on the control socket */
    WIRE_FORK = 32,         /* u32 cell number; one descriptor attached */
    WIRE_INTERRUPT = 33,    /* u32 cell number: KeyboardInterrupt in the guest */
    WIRE_KILL = 34,         /* u32 cell number: SIGKILL */
    WIRE_FORK_SESSION = 35, /* as FORK; the cell stays for more requests after the first */
    WIRE_SPLIT_CELL = 36, /* u32 cell number of the copy to be, u32 that of the session's cell; one
                             descriptor attached: the copy's end of its cell socket */
    /* zygote -> pool, on the control socket */
    WIRE_READY = 48,  /* record of enum wire_ready_field */
    WIRE_FATAL = 49,  /* UTF-8 text: why the zygote cannot go on; it exits */
    WIRE_EXITED = 50, /* u32 cell number, u32 wait status */
    WIRE_JAILED = 51, /* record of enum wire_jailed_field; the first frame, sent when the jail has
                         closed and before anything of a guest's has run. Once */
    WIRE_INTERRUPTED = 52, /* u32 number of a session's cell: an INTERRUPT has reached it, so that
                              it cannot end a later request */
    WIRE_BORN = 53,        /* u32 cell number: the copy is there, and waits for a request */
    /* vitrine -> vitrine-fetch, on the fetch socket */
    WIRE_FETCH_CONFIG = 64, /* record of enum wire_fetch_config_field; the first frame, once */
    WIRE_FETCH_ASK = 65,    /* record of enum wire_fetch_field, with ID */
    WIRE_FETCH_CANCEL = 66, /* u32 id: no answer is wanted any more */
    /* vitrine-fetch -> vitrine, on the fetch socket */
    WIRE_FETCH_ANSWER = 80, /* u32 id, u32 enum wire_fetch_status, then the bytes or text */
    WIRE_FETCH_LOG = 81,    /* u32 id (0: of none), u32 level (0 debug, 1 info, 2 warning), text */
};

enum wire_direction {
    WIRE_TO_CELL,
    WIRE_FROM_CELL,
    WIRE_TO_ZYGOTE,
    WIRE_FROM_ZYGOTE,
    WIRE_TO_FETCH,
    WIRE_FROM_FETCH,
};

struct wire_frame_rule {
    enum wire_type type;
    enum wire_direction direction;
    uint32_t payload_bytes_max;
    const char *name;
};

/* The rule of a type, or NULL when there is no such type. */
const struct wire_frame_rule *wire_rule(uint8_t type);

/* In EXITED, where the wait status is: there was no process, because fork failed. */
#define WIRE_EXITED_NOT_FORKED 0xFFFFFFFFu

/* The exit status of a cell's process whose CPU time is over, and that could not be interrupted. */
#define WIRE_EXIT_CPU 152

/* Numbers of fields; "u32", "u64" are little-endian, "text" is UTF-8, "json" is UTF-8 JSON. */
enum wire_request_field {
    WIRE_REQUEST_CODE = 1,       /* bytes: the source, as the user gave it */
    WIRE_REQUEST_FILENAME = 2,   /* text: name for tracebacks, e.g. main.py */
    WIRE_REQUEST_GLOBALS = 3,    /* json object: variables to set first */
    WIRE_REQUEST_ARG = 4,        /* text, repeated: sys.argv, argv[0] included */
    WIRE_REQUEST_ENV = 5,        /* text NAME=VALUE, repeated: added to os.environ */
    WIRE_REQUEST_WANT_VALUE = 6, /* u32 1: the last expression's value is the result; 2: it is given
                                    to sys.displayhook, as at Python's prompt; 0: neither */
    WIRE_REQUEST_WALL_MS = 7,    /* u64 limits, all of them; the guest may read them */
    WIRE_REQUEST_MEMORY_BYTES = 8,
    WIRE_REQUEST_OUTPUT_BYTES = 9,
    WIRE_REQUEST_RESULT_BYTES = 10,
    WIRE_REQUEST_FILE_BYTES = 11,
    WIRE_REQUEST_FILE_COUNT = 12,
    WIRE_REQUEST_NEEDS = 13,      /* u32 0 or 1: find out first which packages the code needs, and
                                     answer with status "need" when this environment lacks some */
    WIRE_REQUEST_DEPENDENCY = 14, /* text, repeated: requirements given beside the code (PEP 508) */
    WIRE_REQUEST_RESOLVED = 15,   /* text: the value of RESULT_NEED that this environment was made
                                     for; when the code's need equals it, the code runs */
    WIRE_REQUEST_MAY_FETCH = 16,  /* u32 0 or 1: the cell may send FETCH */
    WIRE_REQUEST_CPU_MS = 17,     /* u64 limits, as those above */
    WIRE_REQUEST_OPEN_FILES = 18,
    WIRE_REQUEST_DISPLAY_COUNT = 19,
    WIRE_REQUEST_RECURSION = 20,
    WIRE_REQUEST_MADE_BYTES = 21, /* u64: tell which files the program made; so many bytes of them
                                     may come along */
    /* u32 length of the name, the name (a relative path), the contents; repeated, behind all other
     * fields: a file that is put into the working directory first. Not shown to the guest */
    WIRE_REQUEST_FILE = 22,
    WIRE_REQUEST_PICTURE_BYTES = 30, /* u64: of a picture as base64; larger ones are scaled down */
    WIRE_REQUEST_SESSION = 32, /* u32 1: it is one of a session, whose state goes on; 2: it is run
                                  beside the session's programs, and leaves their state alone */
    WIRE_REQUEST_RESEED = 33,  /* u32 0 or 1, added by the cell: its state is the copy of another's,
                                  and is to draw other random numbers than that */
};

enum wire_result_field {
    WIRE_RESULT_STATUS = 1,    /* text: "success", "run-error" or "need" */
    WIRE_RESULT_EXIT_CODE = 2, /* u32, two's complement: what the program's exit status should be */
    WIRE_RESULT_VALUE = 3,     /* json: the return value; absent when None or not wanted */
    WIRE_RESULT_VALUE_NOTE = 4, /* text: why VALUE is not the whole value ("truncated", "repr") */
    WIRE_RESULT_ERROR_TYPE = 5, /* text: qualified name of the exception's class */
    WIRE_RESULT_ERROR_MESSAGE = 6,   /* text: str(exception) */
    WIRE_RESULT_ERROR_TRACEBACK = 7, /* text: as CPython prints it, with the final newline */
    WIRE_RESULT_ERROR_LINE = 8,      /* u32: innermost line of the user's file, 0 when unknown */
    /* json, with status "need": {"requirements": [text, ...], "guesses": [text, ...]}, sorted, no
     * spaces after separators. `requirements` were asked for by name; `guesses` were inferred from
     * imports and may turn out not to exist. */
    WIRE_RESULT_NEED = 9,
};

enum wire_file_field {
    WIRE_FILE_NAME = 1,    /* bytes: its path below the working directory, as the guest named it */
    WIRE_FILE_SIZE = 2,    /* u64: bytes that it has */
    WIRE_FILE_CONTENT = 3, /* u64: bytes that follow in FILE_DATA: all or, where absent, none */
};

/* What vitrine-fetch is asked for. A guest names projects and sums, never addresses. */
enum wire_fetch_what {
    WIRE_FETCH_PAGE = 1,     /* NAME is a project: its page as PEP 691 JSON, with our own file names
                                (see src/fetch/fetch.h) */
    WIRE_FETCH_METADATA = 2, /* NAME is a wheel's SHA-256 in hex: its METADATA file */
    WIRE_FETCH_WHEEL = 3,    /* NAME is a wheel's SHA-256 in hex: the path of the wheel in the
                                cache, its sum checked. Never for a guest */
};

enum wire_fetch_field {
    WIRE_FETCH_ID = 1,   /* u32, on the fetch socket alone: chosen by vitrine */
    WIRE_FETCH_WHAT = 2, /* u32, enum wire_fetch_what */
    WIRE_FETCH_NAME = 3, /* text, repeated: the first one is answered; the others are wanted next
                            and may be fetched meanwhile */
};

enum wire_fetch_status {
    WIRE_FETCH_OK = 0,
    WIRE_FETCH_MISSING = 1, /* no source has it; text says which were asked */
    WIRE_FETCH_REFUSED = 2, /* a rule forbids it; text names the rule */
    WIRE_FETCH_FAILED = 3,  /* network, server, disk; text says what happened */
    WIRE_FETCH_OFFLINE = 4, /* it would have needed the network */
};

enum wire_fetch_config_field {
    WIRE_FETCH_CONFIG_CACHE = 1,  /* text: folder; wheels are put at wheels/SHA256/FILENAME */
    WIRE_FETCH_CONFIG_LOCK = 2,   /* text: path of the distribution's lock file (JSON) */
    WIRE_FETCH_CONFIG_MIRROR = 3, /* text, repeated, in order: folder, https address, or
                                     "index:PROJECT==VERSION/FILENAME#SHA256/FOLDER": a wheel of the
                                     index that carries the distribution's wheels in FOLDER */
    WIRE_FETCH_CONFIG_INDEX = 4,  /* text, repeated, in order: address of a simple index; the first
                                     one that has a project is the only one for it */
    WIRE_FETCH_CONFIG_OFFLINE =
        5, /* u32 0 or 1: nothing but the cache and mirrors that are folders */
    WIRE_FETCH_CONFIG_EXCLUDE_NEWER = 6, /* text: RFC 3339 time; files of the index that are
                                            younger, or of unknown age, are left out */
    WIRE_FETCH_CONFIG_CERTIFICATES = 7,  /* text: file of root certificates */
    WIRE_FETCH_CONFIG_PROXY = 8,         /* text: as HTTPS_PROXY; the variables count without it */
};

/* Why the guest stopped. */
enum wire_end_reason {
    WIRE_END_RETURNED = 0, /* the runner returned; there was one RESULT before */
    WIRE_END_EXITED = 1,   /* the guest called proc_exit (os._exit, abort) */
    WIRE_END_TRAPPED = 2,  /* wasm trap: stack overflow, bad memory access, unreachable */
    WIRE_END_LIMIT = 3,    /* the cell stopped the guest because of a limit (see LIMITS) */
    WIRE_END_PROTOCOL = 4, /* the guest broke the rules of its control descriptor */
    WIRE_END_REFUSED = 5,  /* nothing was run: what came with the request does not fit */
};

/* Limits that the guest ran into, as bits; time is known to the pool alone. */
enum wire_limit {
    WIRE_LIMIT_MEMORY = 1 << 0,
    WIRE_LIMIT_OUTPUT = 1 << 1,
    WIRE_LIMIT_FILE_BYTES = 1 << 2,
    WIRE_LIMIT_FILE_COUNT = 1 << 3,
    WIRE_LIMIT_OPEN_FILES = 1 << 4,
    WIRE_LIMIT_RESULT = 1 << 5,
    WIRE_LIMIT_TIME = 1 << 6,
    WIRE_LIMIT_CPU = 1 << 7,
    WIRE_LIMIT_DISPLAY = 1 << 8,
    WIRE_LIMIT_RECURSION = 1 << 9,
    WIRE_LIMIT_STDERR = 1 << 10, /* with OUTPUT: what was cut off is of stderr */
};

enum wire_end_field {
    WIRE_END_REASON = 1,       /* u32, enum wire_end_reason */
    WIRE_END_EXIT_CODE = 2,    /* u32, two's complement; for EXITED */
    WIRE_END_LIMITS = 3,       /* u32, bits of enum wire_limit */
    WIRE_END_DETAIL = 4,       /* text: the trap's or violation's own words */
    WIRE_END_CPU_US = 5,       /* u64: CPU time of the run */
    WIRE_END_WALL_US = 6,      /* u64: from request read to end */
    WIRE_END_MEMORY_BYTES = 7, /* u64: linear memory at the end */
    WIRE_END_FILES_LEFT = 8,   /* u32: files that were made and not told, being too many */
};

enum wire_ready_field {
    WIRE_READY_PYTHON = 1,   /* text: the guest's Python, e.g. 3.14.0 */
    WIRE_READY_ENGINE = 2,   /* text: the engine and its version */
    WIRE_READY_BOOT_US = 3,  /* u64: from exec to ready */
    WIRE_READY_SNAPSHOT = 4, /* u32: 1 when it booted from a snapshot, else 0 */
};

enum wire_jailed_field {
    WIRE_JAILED_PARTS = 1,   /* u32, bits of enum wire_jail: what holds for its cells */
    WIRE_JAILED_MISSING = 2, /* repeated: u32, one bit, then text: what the system said */
};

/* Parts of the jail, as bits. */
enum wire_jail {
    WIRE_JAIL_USER_NAMESPACE = 1 << 0,
    WIRE_JAIL_MOUNT_NAMESPACE = 1 << 1,
    WIRE_JAIL_PID_NAMESPACE = 1 << 2,
    WIRE_JAIL_NETWORK_NAMESPACE = 1 << 3,
    WIRE_JAIL_IPC_NAMESPACE = 1 << 4,
    WIRE_JAIL_UTS_NAMESPACE = 1 << 5,
    WIRE_JAIL_CGROUP_NAMESPACE = 1 << 6,
    WIRE_JAIL_EMPTY_ROOT = 1 << 7,
    WIRE_JAIL_LANDLOCK = 1 << 8,
    WIRE_JAIL_NO_NEW_PRIVILEGES = 1 << 9,
    WIRE_JAIL_NO_CAPABILITIES = 1 << 10,
    WIRE_JAIL_RESOURCE_LIMITS = 1 << 11,
    WIRE_JAIL_FILTER = 1 << 12, /* seccomp */
};
enum { WIRE_JAIL_PARTS_COUNT = 13 };
#define WIRE_JAIL_ALL ((1U << WIRE_JAIL_PARTS_COUNT) - 1)

/* Appends one frame's header. The payload follows by buf_append or by a writev of the caller. */
int wire_append_header(struct buf *out, enum wire_type type, uint32_t payload_bytes);
int wire_append_frame(struct buf *out, enum wire_type type, struct span payload);

/* For a payload that has grown since its header was appended. */
void wire_set_payload_bytes(char header[WIRE_HEADER_BYTES], uint32_t payload_bytes);

/* Writes header and payload to a blocking or non-blocking socket, whole. 0, or -1 with errno. */
int wire_send(int fd, enum wire_type type, struct span payload);

struct wire_frame {
    enum wire_type type;
    struct span payload; /* borrows the buffer it was taken from */
};

/*
 * Looks at the front of `in` for one frame that `direction` allows. Returns 1 and fills *out and
 * *frame_bytes (what to consume afterwards), 0 when more bytes are needed, -1 on a violation.
 */
int wire_take(struct span in, enum wire_direction direction, struct wire_frame *out,
              size_t *frame_bytes, struct err *err);

/* Building records. */
int wire_put(struct buf *out, uint8_t field, struct span value);
int wire_put_u32(struct buf *out, uint8_t field, uint32_t value);
int wire_put_u64(struct buf *out, uint8_t field, uint64_t value);

/* Reading records: start with *cursor = the record; returns 1 and a field, 0 at the end, -1 when
 * the bytes are not a record. At most LIMIT_RECORD_FIELDS_MAX fields are the caller's to count. */
struct wire_field {
    uint8_t number;
    struct span value;
};
int wire_next(struct span *cursor, struct wire_field *out);
int wire_get_u32(struct span value, uint32_t *out); /* 0, or -1 when not 4 bytes wide */
int wire_get_u64(struct span value, uint64_t *out); /* 0, or -1 when not 8 bytes wide */

#endif
