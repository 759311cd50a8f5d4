#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES_MAX = 8192,
    WORDS_MAX = 16,
    TEXT_BYTES_MAX = 4096,
    TEXTS_MAX = 8,
    ARGS_MAX = 6,
    REGISTERS = 10,
    PAGE_BYTES = 65536,
    CODE_PAGE_BYTES = 4096,
    STATUS_LIVES = 42,
    TRY_MS_MAX = 300,
};

struct machine {
    const struct probe_voice *voice;
    long last;
    long registers[REGISTERS];
    char texts[TEXTS_MAX][TEXT_BYTES_MAX]; /* of the line's arguments */
    size_t texts_count;
};

struct words {
    char *items[WORDS_MAX];
    size_t count;
};

static char page[PAGE_BYTES] __attribute__((aligned(4096)));

/* A function of ours, to be named by its address. */
__attribute__((noinline)) static void harmless(void)
{
    __asm__ volatile("");
}

__attribute__((format(printf, 2, 3))) static void say(const struct machine *machine,
                                                      const char *format, ...)
{
    char line[LINE_BYTES_MAX + 64];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line - 1, format, values);
    va_end(values);
    if (len < 0 || (size_t)len >= sizeof line - 1) {
        return;
    }
    line[len] = '\n';
    machine->voice->say(machine->voice->context, (struct span){line, (size_t)len + 1});
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static size_t hex_read(const char *hex, char *out)
{
    size_t len = strlen(hex) / 2;
    len = len < TEXT_BYTES_MAX ? len : TEXT_BYTES_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (char)strtoul(digits, NULL, 16);
    }
    return len;
}

/* The address of a copy of the bytes, which lasts as long as the line. */
static long text_keep(struct machine *machine, const char *word)
{
    if (machine->texts_count == TEXTS_MAX) {
        return 0;
    }
    char *text = machine->texts[machine->texts_count++];
    size_t len;
    if (word[0] == '#') {
        len = hex_read(word + 1, text);
    } else {
        len = strnlen(word + 1, TEXT_BYTES_MAX - 1);
        memcpy(text, word + 1, len);
    }
    text[len] = '\0';
    return (long)(uintptr_t)text;
}

static long argument(struct machine *machine, const char *word)
{
    if (word[0] == '\'' || word[0] == '#') {
        return text_keep(machine, word);
    }
    if (word[0] == 'r' && word[1] >= '0' && word[1] <= '9') {
        return machine->registers[word[1] - '0'];
    }
    if (word[0] == '$') {
        return machine->last;
    }
    if (strcmp(word, "@page") == 0) {
        return (long)(uintptr_t)page;
    }
    if (strcmp(word, "@code") == 0) {
        return (long)(uintptr_t)harmless;
    }
    if (strcmp(word, "@code_page") == 0) {
        return (long)((uintptr_t)harmless & ~(uintptr_t)(CODE_PAGE_BYTES - 1));
    }
    if (strcmp(word, "@pid") == 0) {
        return getpid();
    }
    if (strcmp(word, "@parent") == 0) {
        return getppid();
    }
    return word[0] == '-' ? strtol(word, NULL, 0) : (long)strtoul(word, NULL, 0);
}

static long argument_at(struct machine *machine, const struct words *words, size_t at)
{
    return at < words->count ? argument(machine, words->items[at]) : 0;
}

/* ---- Commands -------------------------------------------------------------------------------- */

#ifdef __x86_64__
static long call_native(long number, const long *args)
{
    register long r10 __asm__("r10") = args[3];
    register long r8 __asm__("r8") = args[4];
    register long r9 __asm__("r9") = args[5];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static long call_i386(long number, const long *args)
{
    long result = number;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]), "D"(args[4])
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}
#else
static long call_native(long number, const long *args)
{
    long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    return result == -1 ? -errno : result;
}

static long call_i386(long number, const long *args)
{
    (void)number;
    (void)args;
    return -ENOSYS;
}
#endif

static void command_call(struct machine *machine, const struct words *words)
{
    long args[ARGS_MAX];
    const char *name = words->items[0];
    long number = argument_at(machine, words, 1);
    for (size_t i = 0; i < ARGS_MAX; i++) {
        args[i] = argument_at(machine, words, i + 2);
    }
    machine->last =
        strcmp(name, "int80") == 0 ? call_i386(number, args) : call_native(number, args);
    say(machine, "%s %ld: %ld", name, number, machine->last);
}

static void command_keep(struct machine *machine, const struct words *words)
{
    machine->registers[(size_t)argument_at(machine, words, 1) % REGISTERS] = machine->last;
}

static void command_print(struct machine *machine, const struct words *words)
{
    say(machine, "%s", words->count > 1 ? words->items[1] : "");
}

static void command_peek(struct machine *machine, const struct words *words)
{
    char hex[LINE_BYTES_MAX];
    const char *from = (const char *)(uintptr_t)argument_at(machine, words, 1);
    size_t len = (size_t)argument_at(machine, words, 2);
    len = len < sizeof hex / 2 ? len : sizeof hex / 2 - 1;
    for (size_t i = 0; i < len; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)from[i]);
    }
    hex[2 * len] = '\0';
    say(machine, "peek: %s", hex);
}

static void command_poke(struct machine *machine, const struct words *words)
{
    char *to = (char *)(uintptr_t)argument_at(machine, words, 1);
    const char *from = (const char *)(uintptr_t)argument_at(machine, words, 2);
    memmove(to, from, (size_t)argument_at(machine, words, 3));
    say(machine, "poke: done");
}

static void command_jump(struct machine *machine, const struct words *words)
{
    void (*target)(void);
    long address = argument_at(machine, words, 1);
    memcpy(&target, &address, sizeof target);
    target();
    say(machine, "jump: back");
}

static void sleep_ms(unsigned ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

static void command_sleep(struct machine *machine, const struct words *words)
{
    sleep_ms((unsigned)argument_at(machine, words, 1));
}

static void command_environment(struct machine *machine, const struct words *words)
{
    (void)words;
    for (char **item = environ; item != NULL && *item != NULL; item++) {
        say(machine, "variable: %s", *item);
    }
    say(machine, "environment: end");
}

static void command_run(struct machine *machine, struct words *words);

/* A child that waits for something is killed; its status then says so. */
static int child_wait(pid_t pid)
{
    int status = 0;
    for (unsigned ms = 0; ms < TRY_MS_MAX; ms++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return status;
        }
        sleep_ms(1);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return status;
}

static void command_try(struct machine *machine, const struct words *words)
{
    struct words rest = {.count = words->count - 1};
    memcpy(rest.items, words->items + 1, rest.count * sizeof *rest.items);
    pid_t pid = fork();
    if (pid == 0) {
        command_run(machine, &rest);
        _exit(STATUS_LIVES);
    }
    if (pid < 0) {
        say(machine, "try: no child: %d", errno);
        return;
    }
    say(machine, "try: %d", child_wait(pid));
}

static const struct command {
    const char *name;
    void (*run)(struct machine *machine, const struct words *words);
} commands[] = {
    {"call", command_call},   {"int80", command_call},  {"keep", command_keep},
    {"print", command_print}, {"peek", command_peek},   {"poke", command_poke},
    {"jump", command_jump},   {"sleep", command_sleep}, {"environment", command_environment},
    {"try", command_try},
};

static void command_run(struct machine *machine, struct words *words)
{
    for (size_t i = 0; words->count > 0 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, words->items[0]) == 0) {
            commands[i].run(machine, words);
            return;
        }
    }
    if (words->count > 0) {
        say(machine, "no command: %s", words->items[0]);
    }
}

static void line_run(struct machine *machine, char *line)
{
    struct words words = {.count = 0};
    char *rest = line;
    while (words.count < WORDS_MAX && (rest += strspn(rest, " "), *rest != '\0')) {
        words.items[words.count++] = rest;
        rest += strcspn(rest, " ");
        if (*rest != '\0') {
            *rest++ = '\0';
        }
    }
    machine->texts_count = 0;
    command_run(machine, &words);
}

void probe_run(const struct probe_voice *voice, struct span script)
{
    static struct machine machine;
    machine = (struct machine){.voice = voice};
    while (script.len > 0) {
        char line[LINE_BYTES_MAX];
        const char *newline = memchr(script.base, '\n', script.len);
        size_t len = newline != NULL ? (size_t)(newline - script.base) : script.len;
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1),
                 script.base);
        line_run(&machine, line);
        script.base += len + (newline != NULL ? 1 : 0);
        script.len -= len + (newline != NULL ? 1 : 0);
    }
}
