/* What `vitrine doctor` says of the system. Runs in `vitrine`. */
#ifndef CLI_DOCTOR_SYSTEM_H
#define CLI_DOCTOR_SYSTEM_H

#include "cli/findings.h"

/* Kernel, Landlock, seccomp, switches of user namespaces, pages, memory, processors, user. */
void doctor_system(struct findings *findings);

#endif
