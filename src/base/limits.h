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
#define LIMIT_WALL_MS_DEFAULT        60000ULL /* --timeout */
#define LIMIT_WALL_MS_MAX            (24ULL * 3600 * 1000)
#define LIMIT_CPU_MS_MAX             LIMIT_WALL_MS_MAX /* --cpu-time; as --timeout without it */
#define LIMIT_GRACE_MS               500ULL /* between the KeyboardInterrupt and SIGKILL */
#define LIMIT_CANCEL_GRACE_MS        50ULL  /* the same when nobody wants the result any more */
#define LIMIT_MEMORY_BYTES_DEFAULT   (512 * MIB) /* --memory: the guest's linear memory */
#define LIMIT_MEMORY_BYTES_MIN       (64 * MIB)
#define LIMIT_MEMORY_BYTES_MAX       (4 * GIB - 64 * KIB)
#define LIMIT_OUTPUT_BYTES_DEFAULT   (1 * MIB) /* --output-limit: stdout and stderr together */
#define LIMIT_OUTPUT_BYTES_MAX       (1 * GIB)
#define LIMIT_RESULT_BYTES_DEFAULT   (1 * MIB) /* --result-limit: the JSON of the return value */
#define LIMIT_RESULT_BYTES_MAX       (64 * MIB)
#define LIMIT_FILE_BYTES_DEFAULT     (256 * MIB) /* --file-bytes: the writable layer's contents */
#define LIMIT_FILE_BYTES_MAX         (4 * GIB)
#define LIMIT_FILE_COUNT_DEFAULT     20000ULL /* --file-count: the writable layer's inodes */
#define LIMIT_FILE_COUNT_MAX         1000000ULL
#define LIMIT_OPEN_FILES_DEFAULT     256ULL /* --open-files: guest file descriptors */
#define LIMIT_OPEN_FILES_MIN         16ULL
#define LIMIT_OPEN_FILES_MAX         512U
#define LIMIT_DISPLAY_COUNT_DEFAULT  100ULL /* --display-count: what display() shows */
#define LIMIT_DISPLAY_COUNT_MAX      10000ULL
#define LIMIT_DISPLAY_ITEM_BYTES_MAX (4 * MIB)   /* of one, as JSON */
#define LIMIT_DISPLAY_BYTES_MAX      (16 * MIB)  /* of all */
#define LIMIT_PICTURE_BYTES_DEFAULT  (128 * KIB) /* --picture-bytes: of one, as base64 */
#define LIMIT_PICTURE_BYTES_MIN      (8 * KIB)
#define LIMIT_PICTURE_BYTES_MAX      (3 * MIB)
#define LIMIT_RECURSION_DEFAULT      1000ULL /* --recursion-limit: as CPython's */
#define LIMIT_RECURSION_MIN          100ULL
#define LIMIT_RECURSION_MAX          100000ULL

/* What a result shows (src/result). */
#define LIMIT_OUTPUT_ITEMS_MAX      2000U      /* changes between the streams told one by one */
#define LIMIT_PICTURES_MAX          20U        /* in one result */
#define LIMIT_PICTURES_OF_FULL_SIZE 8U         /* of them, as large as --picture-bytes allows */
#define LIMIT_PICTURE_SIDE_MAX      8000U      /* pixels: more no model's service takes */
#define LIMIT_DISPLAY_FORM_BYTES    (16 * KIB) /* a text form that is repeated in a result */

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

/* Files of a run: those that it is given, and those that it makes and that are told at its end. */
#define LIMIT_GIVEN_COUNT_MAX      256U
#define LIMIT_GIVEN_BYTES_MAX      (16 * MIB)  /* all together */
#define LIMIT_GIVEN_NAME_BYTES_MAX 1024U       /* of one name, folders included */
#define LIMIT_MADE_COUNT_MAX       256U        /* of more only their number is told */
#define LIMIT_MADE_BYTES_MAX       (16 * MIB)  /* contents that come along, all together */
#define LIMIT_INLINE_FILE_BYTES    (32 * KIB)  /* of one that stands in a result itself */
#define LIMIT_INLINE_FILES_BYTES   (128 * KIB) /* of all these */
#define LIMIT_KEPT_MS              3600000ULL  /* a client may read its files for so long */
#define LIMIT_KEPT_CLIENT_BYTES    (64 * MIB)
#define LIMIT_KEPT_CLIENT_FILES    512U
#define LIMIT_KEPT_BYTES           (512 * MIB) /* of all clients */
#define LIMIT_KEPT_FILES           8192U
#define LIMIT_MADE_WALK_MAX        200000U /* names that are looked at */

/* Directories of the host that a program is granted (--mount). */
#define LIMIT_MOUNTS_MAX         8U
#define LIMIT_GRANTED_NAMES_MAX  200000U    /* in one directory, when it is listed */
#define LIMIT_GRANTED_LIST_BYTES (32 * MIB) /* of one listing */
#define LIMIT_GRANTED_DIRS_MAX   16384U     /* that are remembered at the same time */

/* What a request may carry. */
#define LIMIT_CODE_BYTES_MAX    (8 * MIB)
#define LIMIT_GLOBALS_BYTES_MAX (8 * MIB)
#define LIMIT_ARGV_COUNT_MAX    1024U
#define LIMIT_ENV_COUNT_MAX     1024U

/* Frames between the programs (src/wire). */
#define LIMIT_REQUEST_FRAME_BYTES_MAX (32 * MIB)
#define LIMIT_RESULT_FRAME_BYTES_MAX  (LIMIT_RESULT_BYTES_MAX + 4 * MIB)
#define LIMIT_OUTPUT_FRAME_BYTES_MAX  (64 * KIB)
#define LIMIT_OUTPUT_DELAY_MS         50ULL /* output is gathered for so long, at most */
#define LIMIT_CONTROL_FRAME_BYTES_MAX (4 * KIB)
#define LIMIT_RECORD_FIELDS_MAX       4096U

/* Packages: what is asked of vitrine-fetch, and what it takes from the network (src/fetch). */
#define LIMIT_FETCH_ASK_BYTES_MAX       (64 * KIB)
#define LIMIT_FETCH_PAGE_BYTES_MAX      (64 * MIB)  /* an index's page of one project, unpacked */
#define LIMIT_FETCH_ANSWER_BYTES_MAX    (64 * MIB)  /* a page or METADATA, with 8 bytes before it */
#define LIMIT_FETCH_WHEEL_BYTES_MAX     (512 * MIB) /* of a wheel as it is downloaded */
#define LIMIT_FETCH_REDIRECTS_MAX       5U
#define LIMIT_FETCH_CONNECT_MS          15000ULL
#define LIMIT_FETCH_PAGE_MS             60000ULL
#define LIMIT_FETCH_WHEEL_MS            600000ULL
#define LIMIT_FETCH_STALL_MS            30000ULL /* without 1 KiB/s */
#define LIMIT_FETCH_PARALLEL_MAX        8U       /* downloads at the same time */
#define LIMIT_FETCH_ASKS_MAX            256U     /* questions that wait */
#define LIMIT_FETCH_NAME_BYTES_MAX      128U     /* a project's name */
#define LIMIT_FETCH_URL_BYTES_MAX       4096U
#define LIMIT_FETCH_HEADER_BYTES_MAX    (256 * KIB) /* of one answer */
#define LIMIT_FETCH_PAGE_FILES_MAX      200000U     /* links on one page */
#define LIMIT_FETCH_FRESH_MS            600000ULL   /* a page is not asked for again, at most */
#define LIMIT_FETCH_KNOWN_BYTES_MAX     (256 * MIB) /* pages in memory */
#define LIMIT_FETCH_RETRY_MS            500ULL      /* before the one repetition */
#define LIMIT_FETCH_SOURCES_MAX         64U         /* indexes, and mirrors, each */
#define LIMIT_FETCH_LOCK_BYTES_MAX      (16 * MIB)  /* the distribution's lock file */
#define LIMIT_FETCH_DIRECTORY_BYTES_MAX (16 * MIB)  /* of an archive that carries wheels */

/* Wheels (src/packages): what the strict reader takes. */
#define LIMIT_WHEEL_ENTRIES_MAX        50000U
#define LIMIT_WHEEL_FILE_BYTES_MAX     (256 * MIB) /* one file, unpacked */
#define LIMIT_WHEEL_UNPACKED_BYTES_MAX (2 * GIB)   /* all files, unpacked */
#define LIMIT_WHEEL_RATIO_MAX          200U        /* unpacked by packed, past the first MiB */
#define LIMIT_WHEEL_METADATA_BYTES_MAX (4 * MIB)   /* METADATA, WHEEL, RECORD each */
#define LIMIT_WHEEL_NAME_BYTES_MAX     1024U       /* of one entry */

/* Environments. */
#define LIMIT_REQUIREMENTS_MAX           256U /* of one request */
#define LIMIT_REQUIREMENT_BYTES_MAX      1024U
#define LIMIT_SOURCES_MAX                32U   /* mirrors, and package indexes, that options name */
#define LIMIT_PACKAGES_MAX               512U  /* of one environment */
#define LIMIT_MODULES_MAX                4096U /* side modules of one environment */
#define LIMIT_RESOLVE_MS                 120000ULL
#define LIMIT_RESOLVE_FETCHES_MAX        2000U /* pages and METADATA for one resolution */
#define LIMIT_BUILD_MS                   600000ULL
#define LIMIT_BUILD_MEMORY_BYTES         (4 * GIB)
#define LIMIT_BUILD_FILE_BYTES           (4 * GIB) /* one file that a build writes */
#define LIMIT_BUILD_NATIVE_BYTES         (4 * GIB) /* machine code of one wheel */
#define LIMIT_BUILD_BYTECODE_BYTES       (1 * GIB)
#define LIMIT_BUILD_BYTECODE_MS          300000ULL      /* then the rest of a wheel stays sources */
#define LIMIT_NEED_BYTES_MAX             (512 * KIB)    /* of what a program needs, as JSON */
#define LIMIT_NEEDS_PER_RUN              2U             /* environments made for one run */
#define LIMIT_NEED_FRESH_S               (12ULL * 3600) /* then versions are looked for anew */
#define LIMIT_NEED_RETRY_S               60ULL /* the same, where something could not be fetched */
#define LIMIT_NEED_LASTING_S             (3650ULL * 24 * 3600) /* the same, where nothing new can come */
#define LIMIT_PLAN_BYTES_MAX             (8 * MIB)             /* what a resolution may answer */
#define LIMIT_ASK_ANSWER_BYTES_MAX       1024U                 /* what may be typed for y or n */
#define LIMIT_LISTED_FILES_MAX           1000U                 /* that list_files tells of */
#define LIMIT_READ_FILE_BYTES_MAX        (1 * MIB)             /* that read_file gives at a time */
#define LIMIT_APPROVE_CODE_BYTES_MAX     (64 * KIB) /* of a program that is shown before it may run */
#define LIMIT_SURVEY_MS                  10000ULL   /* for telling what a program would import */
#define LIMIT_SURVEY_NAMES_MAX           256U       /* of each kind that it names */
#define LIMIT_SURVEY_TEXT_BYTES_MAX      (256 * KIB) /* what a person is told */
#define LIMIT_PRELOAD_BYTES_MAX          (4 * KIB)   /* names of modules to import ahead */
#define LIMIT_REMEMBERED_MAX             1024U       /* needs, and programs, in memory */
#define LIMIT_INSTALL_LINE_BYTES_MAX     1024U       /* one line of an installation's log */
#define LIMIT_INSTALL_REASON_BYTES_MAX   (8 * KIB)   /* why packages could not be installed */
#define LIMIT_INSTALL_LINES_MAX          2000U
#define LIMIT_INSTALL_LOG_BYTES_MAX      (256 * KIB)
#define LIMIT_INSTALL_LOG_TEXT_BYTES     (16 * KIB) /* its end, in a result's text */
#define LIMIT_POLICY_BYTES_MAX           (4 * MIB)  /* --allow-packages */
#define LIMIT_PIP_CONFIG_BYTES_MAX       (64 * KIB) /* one of pip's configuration files */
#define LIMIT_FETCHER_IDLE_MS            180000ULL  /* then vitrine-fetch ends */
#define LIMIT_FETCHER_DEATHS_MAX         3U         /* in a row */
#define LIMIT_FETCHER_REST_MS            10000ULL   /* after so many */
#define LIMIT_FETCHER_STOP_MS            2000ULL    /* between its socket's end and SIGKILL */
#define LIMIT_LOCK_POLL_MS               50ULL      /* another process builds the same */
#define LIMIT_ENVIRONMENT_COUNT_MAX      64U
#define LIMIT_ENVIRONMENT_RETRY_MS       2000ULL /* what "busy" tells to wait when all are in use */
#define LIMIT_ENVIRONMENT_MEMORY_DEFAULT (2 * GIB) /* --environment-memory: of all zygotes */
#define LIMIT_ENVIRONMENT_MEMORY_MAX     (1024 * GIB)
#define LIMIT_ENVIRONMENT_PRELOAD_MS     30000ULL    /* imports ahead in a zygote */
#define LIMIT_ENVIRONMENT_MEMORY_GUESS   (256 * MIB) /* of a zygote when the system is silent */
#define LIMIT_ENVIRONMENT_SPARE_MS       60000ULL    /* its spare cells outlive its last use */
#define LIMIT_PRELOAD_BYTES_MAX          (4 * KIB)   /* names of modules to import ahead */

/* MCP messages (src/transport, src/mcp). */
#define LIMIT_MESSAGE_BYTES_MAX       (32 * MIB)
#define LIMIT_JSON_DEPTH_MAX          512U
#define LIMIT_JSON_KEYS_MAX           1000000U /* in all objects that are open at one place */
#define LIMIT_JSON_NUMBER_CHARS_MAX   4300U    /* what Python's int() takes */
#define LIMIT_REQUEST_ID_CHARS_MAX    1024U    /* of a JSON-RPC id as it is written */
#define LIMIT_BATCH_MESSAGES_MAX      64U      /* protocol 2025-03-26 */
#define LIMIT_PRINCIPAL_BYTES_MAX     1024U    /* the name of who is authenticated */
#define LIMIT_TOOLS_MAX               64U
#define LIMIT_RESOURCES_MAX           64U /* that are there from the start */
#define LIMIT_FAMILIES_MAX            16U /* of resources, each with a template */
#define LIMIT_PROMPTS_MAX             32U
#define LIMIT_PAGE_ITEMS              100U /* of a list in one answer */
#define LIMIT_COMPLETIONS_MAX         100U
#define LIMIT_URI_BYTES_MAX           (8 * KIB)
#define LIMIT_URI_VARIABLES_MAX       8U
#define LIMIT_WATCHED_URIS_MAX        256U      /* by one session, or one subscription */
#define LIMIT_SUBSCRIPTIONS_MAX       32U       /* of one session at a time */
#define LIMIT_QUESTIONS_MAX           8U        /* to a client at a time, by one call */
#define LIMIT_ASK_MS                  600000ULL /* a person may have to think */
#define LIMIT_REQUEST_STATE_MS        900000ULL /* what travels through a client and back */
#define LIMIT_REQUEST_STATE_BYTES_MAX (64 * KIB)
#define LIMIT_RESPONSE_BYTES_MAX      (256 * MIB)
#define LIMIT_WRITE_QUEUE_BYTES_MAX   (64 * MIB) /* past it: no reading, no log, no new run */
#define LIMIT_OUTPUT_WATCH_MS         10ULL      /* then: whether the client is still there */
#define LIMIT_EOF_GRACE_MS            1000ULL    /* for calls that run when the client hangs up */
#define LIMIT_DRAIN_MS_DEFAULT        10000ULL   /* --drain-time: for calls that run at a SIGTERM */
#define LIMIT_DRAIN_MS_MAX            (24ULL * 3600 * 1000)
#define LIMIT_START_GRACE_MS          10000ULL /* the same while the zygote is still starting */
#define LIMIT_INSTALL_GRACE_MS        60000ULL /* the same while packages are being installed */

/* The HTTP server (src/transport/http.h). */
#define LIMIT_HTTP_MS_MIN                     100ULL /* --request-time, --stall-time */
#define LIMIT_HTTP_MS_MAX                     (24ULL * 3600 * 1000)
#define LIMIT_HTTP_HEAD_MS_DEFAULT            10000ULL /* from accept or first byte to the end of a head */
#define LIMIT_HTTP_BODY_MS_DEFAULT            60000ULL /* then to the end of the body */
#define LIMIT_HTTP_IDLE_MS_DEFAULT            75000ULL /* between an answer and the next request */
#define LIMIT_HTTP_STALL_MS_DEFAULT           30000ULL /* a client that does not take what waits for it */
#define LIMIT_HTTP_STALL_BYTES                (16 * KIB) /* less than that in this time is not taking */
#define LIMIT_HTTP_HEAD_BYTES_DEFAULT         (32 * KIB)
#define LIMIT_HTTP_HEAD_BYTES_MAX             (64 * KIB)
#define LIMIT_HTTP_TARGET_BYTES_MAX           (8 * KIB) /* path and query */
#define LIMIT_HTTP_FIELDS_MAX                 100U      /* of one head */
#define LIMIT_HTTP_CONNECTIONS_DEFAULT        1024U     /* half the descriptors at most */
#define LIMIT_HTTP_CONNECTIONS_MAX            65536U
#define LIMIT_HTTP_CLIENT_CONNECTIONS_DEFAULT 256U   /* of one IPv4 address, one /64 of IPv6 */
#define LIMIT_HTTP_LISTENERS_MAX              8U     /* addresses that one host name stands for */
#define LIMIT_HTTP_ACCEPTS_MAX                64U    /* in one turn of the loop */
#define LIMIT_HTTP_ACCEPT_PAUSE_MS            100ULL /* when the system has no descriptors */
#define LIMIT_HTTP_PIPELINE_BYTES_MAX         (64 * KIB) /* of later requests, while one is answered */
#define LIMIT_HTTP_HELD_BYTES_MAX             (512 * MIB) /* bodies and what waits, of all connections */
#define LIMIT_HTTP_SMALL_BYTES                (64 * KIB) /* who holds no more is not sent away for it */
#define LIMIT_HTTP_CONGESTED_BYTES            (1 * MIB) /* waiting for one client: streams should pause */
#define LIMIT_HTTP_WAITING_BYTES_MAX          (64 * MIB) /* the same: a stream is given up */
#define LIMIT_HTTP_CONTROL_BYTES_MAX          (64 * KIB) /* of TLS itself, waiting for one client */
#define LIMIT_HTTP_LINGER_MS                  2000ULL    /* for a client to read its last answer */
#define LIMIT_HTTP_DROPPED_BYTES_MAX          (16 * MIB) /* that nobody wants, from one connection */
#define LIMIT_HTTP_CLOSE_MS                   1000ULL /* for complete answers, when the server closes */

/* The HTTP server's sessions and streams (src/serve). */
#define LIMIT_PORT_DEFAULT            3001U /* --port: mcp-run-python's */
#define LIMIT_SESSIONS_DEFAULT        1024U /* --max-sessions */
#define LIMIT_SESSIONS_MAX            65536U
#define LIMIT_CLIENT_SESSIONS_DEFAULT 256U       /* --client-sessions: of one address */
#define LIMIT_SESSION_IDLE_MS_DEFAULT 1800000ULL /* --session-idle */
#define LIMIT_SESSION_IDLE_MS_MAX     (24ULL * 3600 * 1000)
#define LIMIT_SESSION_LIFE_MS         (24ULL * 3600 * 1000) /* in use or not */
#define LIMIT_SESSION_STREAMS_MAX     256U        /* of one, with those kept to be resumed */
#define LIMIT_SESSION_EVENTS_MAX      4096U       /* kept to be resumed, of one */
#define LIMIT_SESSION_EVENT_BYTES_MAX (16 * MIB)  /* the same */
#define LIMIT_EVENT_BYTES_MAX         (256 * MIB) /* the same, of all sessions */
#define LIMIT_RESUME_MS               60000ULL    /* a client that lost its stream may come back */
#define LIMIT_RESUME_RETRY_MS         1000ULL     /* after so long, as it is told */
#define LIMIT_STREAM_BEGIN_MS         5000ULL /* then an answer that is not there becomes a stream */
#define LIMIT_STREAM_COMMENT_MS       15000ULL /* between comments on a silent stream */
#define LIMIT_SERVE_TICK_MS           1000ULL  /* these times are looked at so often */
#define LIMIT_SERVE_RETRY_S           5U       /* Retry-After of a server that is full, or ends */
#define LIMIT_ALLOWED_MAX             64U      /* --allow-host, --allow-origin, each */

/* A spare cell waits this long for a request before it rehearses. */
#define LIMIT_REHEARSAL_DELAY_MS 5

/* The pool. */
#define LIMIT_SPARE_CELLS_DEFAULT  2U
#define LIMIT_CELLS_DEFAULT        16U /* --max-cells: runs at the same time */
#define LIMIT_CELLS_MAX            256U
#define LIMIT_QUEUE_MAX            1024U   /* runs that wait; of one client: --client-queue */
#define LIMIT_CLIENT_QUEUE_SHARED  64U     /* of one client where several share a pool */
#define LIMIT_TURN_GUESS_US        1000ULL /* until it is known how fast the queue moves */
#define LIMIT_RETRY_MS_MIN         100ULL  /* what "busy" tells to wait */
#define LIMIT_RETRY_MS_MAX         60000ULL
#define LIMIT_QUEUE_BYTES_MAX      (256 * MIB) /* requests that wait, together */
#define LIMIT_SPARE_CELLS_MAX      64U
#define LIMIT_SPARE_MEMORY_DEFAULT (64 * MIB) /* --spare-memory: of those beyond --spare-cells */
#define LIMIT_SPARE_MEMORY_MAX     (64 * GIB)
#define LIMIT_SPARE_BYTES_GUESS    (1 * MIB) /* of one, until it is measured */
#define LIMIT_SPARE_WINDOW_MS      20ULL     /* runs that begin within it begin at the same time */
#define LIMIT_SPARE_HALF_LIFE_MS   10000ULL  /* then half as many are kept */
#define LIMIT_SPARE_MEASURE_MS     500ULL    /* a spare cell so old has rehearsed */
#define LIMIT_SPARE_DEATHS_MAX     5U        /* in a row; then cells are forked on demand alone */
#define LIMIT_POOL_TICK_MS         1000ULL   /* what has no hurry is looked at so often */
#define LIMIT_GRACE_MS_MAX         10000ULL

/* Sessions: cells that stay. */
#define LIMIT_POOL_SESSIONS_DEFAULT        64U /* open at the same time */
#define LIMIT_POOL_SESSIONS_MAX            512U
#define LIMIT_POOL_CLIENT_SESSIONS_DEFAULT 16U                   /* of them, of one client */
#define LIMIT_POOL_SESSION_QUEUE_MAX       16U                   /* runs of one that wait */
#define LIMIT_POOL_SESSION_IDLE_MS_DEFAULT 1800000ULL            /* without a run, then it ends */
#define LIMIT_POOL_SESSION_LIFE_MS_DEFAULT (12ULL * 3600 * 1000) /* in all */
#define LIMIT_POOL_SESSION_MS_MAX          (24ULL * 3600 * 1000)
#define LIMIT_KEPT_ENDED_MAX               256U    /* that have ended, and still say why */
#define LIMIT_POOL_SESSION_RETRY_MS        5000ULL /* what "busy" tells to wait when all are in use */
#define LIMIT_POOL_SESSION_MEMORY_DEFAULT  (8 * GIB) /* of all together; then the idlest ends */
#define LIMIT_POOL_SESSION_MEMORY_MAX      (1024 * GIB)

/* A zygote and its cells. */
#define LIMIT_ZYGOTE_BOOT_MS        60000ULL
#define LIMIT_ZYGOTE_STOP_MS        2000ULL  /* between the end of its control socket and SIGKILL */
#define LIMIT_ZYGOTE_STABLE_MS      10000ULL /* a zygote that lived so long owes no backoff */
#define LIMIT_ZYGOTE_FAILURES_MAX   5U       /* in a row before READY */
#define LIMIT_ZYGOTE_BACKOFF_MS_MIN 50ULL
#define LIMIT_ZYGOTE_BACKOFF_MS_MAX 5000ULL
#define LIMIT_ZYGOTE_CHILDREN_MAX   1024U
#define LIMIT_BIRTHS_MAX            64U      /* copies of sessions' cells that are being made */
#define LIMIT_BIRTH_MS              2000ULL  /* for one */
#define LIMIT_ZYGOTE_FORKS_DEFAULT  10000ULL /* --zygote-forks: then another one takes over */
#define LIMIT_ZYGOTE_FORKS_MIN      100ULL
#define LIMIT_ZYGOTE_FORKS_MAX      1000000000ULL
#define LIMIT_ZYGOTE_RENEWAL_MS_MIN 10000ULL  /* between two that take over; doubled while the */
#define LIMIT_ZYGOTE_RENEWAL_MS_MAX 300000ULL /* reason is suspicion */
#define LIMIT_ZYGOTES_MAX           3U      /* of an environment: one serves, one boots, one ends */
#define LIMIT_ZYGOTE_LOG_LINES_MAX  1000U   /* of its standard error and its cells' */
#define LIMIT_LINGERING_CELLS       8U      /* that may still be ending, or as many as may run */
#define LIMIT_CELL_END_MS           2000ULL /* between its END and SIGKILL */
#define LIMIT_CELL_OVERHEAD_BYTES   (256 * MIB) /* RLIMIT_DATA beyond guest memory and files */
#define LIMIT_CELL_ADDRESS_BYTES    (64 * GIB)  /* RLIMIT_AS: a guest of 4 GiB and its files */
#define LIMIT_ZYGOTE_TASKS_MAX      4096U       /* RLIMIT_NPROC, in a user namespace */
#define LIMIT_CELL_CPU_MARGIN_S     15ULL       /* RLIMIT_CPU beyond the wall time limit */

/* A control group of all zygotes and cells (src/pool/cgroup.h). */
#define LIMIT_CGROUP_TASKS_MAX 4096U        /* processes and threads */
#define LIMIT_TOTAL_MEMORY_MAX (1024 * GIB) /* --total-memory */
#define LIMIT_CGROUP_STALE_S   10 /* one that is empty and nobody's is removed when so old */

/* The wasm rewriter (src/guest/dylink); most are what the engine itself takes. */
#define LIMIT_WASM_MODULE_BYTES_MAX (256 * MIB)
#define LIMIT_WASM_TYPES_MAX        1000000U
#define LIMIT_WASM_FUNCTIONS_MAX    1000000U
#define LIMIT_WASM_TAGS_MAX         1000000U
#define LIMIT_WASM_IMPORTS_MAX      1000000U
#define LIMIT_WASM_EXPORTS_MAX      1000000U
#define LIMIT_WASM_GLOBALS_MAX      1000000U
#define LIMIT_WASM_PARAMS_MAX       1000U  /* and results, of one type */
#define LIMIT_WASM_LOCALS_MAX       50000U /* of one function, with its parameters */
#define LIMIT_WASM_NESTING_MAX      65536U /* blocks open at one place */
#define LIMIT_WASM_TRIES_MAX        65536U /* trys, and catches, of one function */
#define LIMIT_WASM_NEW_TYPES_MAX    1024U  /* added to a module */

/* Side modules and their link records (src/guest/dylink). */
#define LIMIT_CORE_VARIABLES_MAX     16U        /* mutable globals of the core */
#define LIMIT_SIDE_MEMORY_BYTES_MAX  (1 * GIB)  /* static data of one module */
#define LIMIT_SIDE_TABLE_ENTRIES_MAX 1000000U   /* of one module; of the core, its whole table */
#define LIMIT_RECORD_BYTES_MAX       (64 * MIB) /* of one link record, as it is written */
#define LIMIT_RECORD_TEXTS_MAX       100000U /* needed libraries, run paths, weak imports, each */
#define LIMIT_RECORD_SYMBOLS_MAX     1000000U
#define LIMIT_LINK_RECORD_BYTES_MAX  (64 * MIB)  /* of one link record, as it is loaded */
#define LIMIT_LINK_RECORDS_BYTES_MAX (128 * MIB) /* of all that a guest has loaded */
#define LIMIT_LIBRARIES_MAX          16384U      /* that a guest opens, or fails to */
#define LIMIT_HANDLES_BYTES_MAX      (512 * KIB) /* of dlopen, 8 bytes each */
#define LIMIT_MISSING_FUNCTIONS_MAX  1000000U    /* stubs for functions that nobody has */
#define LIMIT_PLATFORM_FUNCTIONS_MAX 512U        /* of guest/abi that have an address */

/* The engine: the guest's own stack, on which Python's recursion lives. */
#define LIMIT_GUEST_STACK_BYTES       (64 * MIB)
#define LIMIT_GUEST_TABLE_ENTRIES_MAX (4U << 20) /* functions that have an address */
#define LIMIT_INSTANCES_MAX           (LIMIT_MODULES_MAX + 8U)
#define LIMIT_HOST_CALL_DEPTH         4000U    /* guest calls host calls guest */
#define LIMIT_HEAP_HOLES_MAX          4000000U /* that are filled before a zygote forks */

/* Snapshots of a booted guest (src/guest/snapshot.c). */
#define LIMIT_SNAPSHOT_RECORD_BYTES_MAX (64 * MIB) /* all but linear memory */
#define LIMIT_SNAPSHOT_KEY_BYTES_MAX    (64 * KIB)

/* The state of a guest that has run (src/guest/durable.c). */
#define LIMIT_STATE_RECORD_BYTES_MAX  (256 * MIB) /* all but linear memory and contents of files */
#define LIMIT_STATE_MS                120000ULL   /* to save or restore one */
#define LIMIT_STATE_ABOUT_BYTES_MAX   (64 * KIB)  /* what a file says of the state in it */
#define LIMIT_STATE_FILE_BYTES_MAX    (16 * GIB)
#define LIMIT_SAVED_SESSIONS_MAX      1000U     /* files in --session-dir */
#define LIMIT_SAVED_SESSION_BYTES_MAX (4 * GIB) /* one of them */
#define LIMIT_STATE_INODES_MAX        2000000U
#define LIMIT_STATE_PIECE_BYTES       (128 * KIB) /* of what is packed, at a time */
/* vitrine repl (src/repl). */
#define LIMIT_REPL_INPUT_BYTES_MAX   (1 * MIB) /* one block of input */
#define LIMIT_REPL_HISTORY_COUNT_MAX 1000U     /* blocks that are kept */
#define LIMIT_REPL_HISTORY_BYTES_MAX (4 * MIB)
#define LIMIT_REPL_AHEAD_BYTES_MAX   (64 * KIB) /* typed while a program runs */
#define LIMIT_REPL_COMPLETIONS_MAX   200U       /* ways to go on that are listed */
#define LIMIT_REPL_PICTURE_BYTES_MAX (8 * MIB)  /* of one that is shown or saved */
#define LIMIT_REPL_PICTURES_MAX      10000U     /* that are saved in one folder */
#define LIMIT_REPL_CELLS_MAX         4U         /* the session's, and those that help to edit */
#define LIMIT_REPL_ENDED_MS          50ULL      /* for hearing that the session has ended */
#define LIMIT_REPL_ASIDE_MS          3000ULL    /* for completing a word */

/* libffi (src/guest/abi/ffi.c). */
#define LIMIT_FFI_ARGUMENTS_MAX 1024U  /* as ctypes has it */
#define LIMIT_FFI_NESTING_MAX   64U    /* structs of one element in each other */
#define LIMIT_CLOSURES_MAX      65536U /* callbacks that exist at one time */
#define LIMIT_CLOSURE_TYPES_MAX 4096U  /* signatures of callbacks */

#endif
