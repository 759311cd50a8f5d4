#include "cell/children.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "cell/words.h"

struct child *children_find(struct children *children, uint32_t number)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i].number == number) {
            return &children->list[i];
        }
    }
    return NULL;
}

struct child *children_find_pid(struct children *children, pid_t pid)
{
    for (size_t i = 0; i < children->count; i++) {
        if (children->list[i].pid == pid) {
            return &children->list[i];
        }
    }
    return NULL;
}

int children_add(struct children *children, const struct child *child)
{
    if (children->count == LIMIT_ZYGOTE_CHILDREN_MAX) {
        return -1;
    }
    children->list[children->count++] = *child;
    return 0;
}

int children_reap(struct children *children)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *child = children_find_pid(children, pid);
        if (child == NULL) {
            continue; /* a copy that never asked to be taken in */
        }
        /* A rogue ends like one that makes a call that is in no table. */
        uint32_t told = child->is_rogue ? SIGSYS : (uint32_t)status;
        uint32_t number = child->number;
        *child = children->list[--children->count];
        if (words_exited(number, told) != 0) {
            return -1;
        }
    }
    return 0;
}

void children_kill(struct children *children)
{
    for (size_t i = 0; i < children->count; i++) {
        (void)kill(children->list[i].pid, SIGKILL);
    }
    for (size_t i = 0; i < children->count; i++) {
        while (waitpid(children->list[i].pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
}
