/*
 * Every cap of the product, by name. A cap that a user can set has its default and its ceiling
 * here; a cap that nobody can set has only its value. docs/limits.md is checked against this file.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define KIB (1024ULL)
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

/* One run of a program: defaults and ceilings of what the options set. */
#define LIMIT_WALL_MS_DEFAULT      60000ULL /* --timeout */
#define LIMIT_WALL_MS_MAX          (24ULL * 3600 * 1000)
#define LIMIT_GRACE_MS             500ULL      /* between the KeyboardInterrupt and SIGKILL */
#define LIMIT_MEMORY_BYTES_DEFAULT (512 * MIB) /* --memory: the guest's linear memory */
#define LIMIT_MEMORY_BYTES_MIN     (64 * MIB)
#define LIMIT_MEMORY_BYTES_MAX     (4 * GIB - 64 * KIB)
#define LIMIT_OUTPUT_BYTES_DEFAULT (1 * MIB) /* --output-limit: stdout and stderr together */
#define LIMIT_OUTPUT_BYTES_MAX     (1 * GIB)
#define LIMIT_RESULT_BYTES_DEFAULT (1 * MIB) /* --result-limit: the JSON of the return value */
#define LIMIT_RESULT_BYTES_MAX     (64 * MIB)
#define LIMIT_FILE_BYTES_DEFAULT   (256 * MIB) /* --file-bytes: the writable layer's contents */
#define LIMIT_FILE_BYTES_MAX       (4 * GIB)
#define LIMIT_FILE_COUNT_DEFAULT   20000ULL /* --file-count: the writable layer's inodes */
#define LIMIT_FILE_COUNT_MAX       1000000ULL
#define LIMIT_OPEN_FILES_MAX       512U /* guest file descriptors */

/* The guest's file system (src/guest/vfs). */
#define LIMIT_IMAGE_COUNT_MAX     32U          /* read-only layers in one guest */
#define LIMIT_IMAGE_BYTES_MAX     (16 * GIB)   /* of one image, when it is made */
#define LIMIT_IMAGE_ENTRIES_MAX   (4U << 20)   /* files and directories in one image */
#define LIMIT_PATH_BYTES_MAX      4096U        /* with the final NUL, as PATH_MAX */
#define LIMIT_NAME_BYTES_MAX      255U         /* one component */
#define LIMIT_SYMLINKS_MAX        40U          /* followed in one look-up */
#define LIMIT_LINKS_MAX           1000U        /* names of one inode */
#define LIMIT_FILE_SIZE_BYTES_MAX (1024 * GIB) /* of one file, holes included */
#define LIMIT_PIPE_BYTES          (64 * KIB)
#define LIMIT_DEVICES_MAX         16U

/* What a request may carry. */
#define LIMIT_CODE_BYTES_MAX    (8 * MIB)
#define LIMIT_GLOBALS_BYTES_MAX (8 * MIB)
#define LIMIT_ARGV_COUNT_MAX    1024U
#define LIMIT_ENV_COUNT_MAX     1024U

/* Frames between the programs (src/wire). */
#define LIMIT_REQUEST_FRAME_BYTES_MAX (32 * MIB)
#define LIMIT_RESULT_FRAME_BYTES_MAX  (LIMIT_RESULT_BYTES_MAX + 4 * MIB)
#define LIMIT_OUTPUT_FRAME_BYTES_MAX  (64 * KIB)
#define LIMIT_CONTROL_FRAME_BYTES_MAX (4 * KIB)
#define LIMIT_RECORD_FIELDS_MAX       4096U

/* MCP messages (src/transport, src/mcp). */
#define LIMIT_MESSAGE_BYTES_MAX (32 * MIB)
#define LIMIT_JSON_DEPTH_MAX    512U

/* The pool. */
#define LIMIT_SPARE_CELLS_DEFAULT 2U
#define LIMIT_CELLS_MAX           256U
#define LIMIT_QUEUE_MAX           1024U

/* The engine: the guest's own stack, on which Python's recursion lives. */
#define LIMIT_GUEST_STACK_BYTES (64 * MIB)

#endif
