/* `vitrine-precompile`: the program, and its commands, one file each. */
#ifndef BUILDER_COMMANDS_H
#define BUILDER_COMMANDS_H

#include "base/err.h"

/* The program behind main(): its exit status. */
int builder_main(int argc, char **argv);

/* argv[0] is the command's own name. -1 with an error; ERR_USAGE for a wrong command line. */
int command_core(int argc, char **argv, struct err *err);
int command_image(int argc, char **argv, struct err *err);
int command_bytecode(int argc, char **argv, struct err *err);
int command_snapshot(int argc, char **argv, struct err *err);
int command_wheel(int argc, char **argv, struct err *err);
int command_environment(int argc, char **argv, struct err *err);

#endif
