/* Messages for the person who runs the program, on its standard error. Used by every program. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above this level are dropped. The default is LOG_LEVEL_WARNING. */
void log_set_level(enum log_level level);

/* Writes "PROGRAM: message\n" as one line. Bytes of control characters, of what ends a line or
 * reorders text, and of what is no UTF-8 become '?'.
 * `program` is set once (borrowed, static). */
void log_set_program(const char *program);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
