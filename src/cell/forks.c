#include "cell/forks.h"

#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cell/words.h"
#include "jail/ask.h"

/* ---- Orders ---------------------------------------------------------------------------------- */

static struct birth *birth_find(struct forks *forks, uint32_t number)
{
    for (size_t i = 0; i < forks->birth_count; i++) {
        if (forks->births[i].number == number) {
            return &forks->births[i];
        }
    }
    return NULL;
}

static void birth_remove(struct forks *forks, struct birth *birth)
{
    fd_close(&birth->socket_fd);
    *birth = forks->births[--forks->birth_count];
}

int forks_order(struct forks *forks, uint32_t number, uint32_t parent, int socket_fd)
{
    if (forks->birth_count == LIMIT_BIRTHS_MAX) {
        fd_close(&socket_fd);
        return words_exited(number, WIRE_EXITED_NOT_FORKED);
    }
    forks->births[forks->birth_count++] = (struct birth){
        .number = number,
        .parent = parent,
        .socket_fd = socket_fd,
        .listener = -1,
        .until_us = clock_monotonic_us() + LIMIT_BIRTH_MS * 1000,
    };
    return 0;
}

int forks_drop(struct forks *forks, uint32_t number)
{
    struct birth *birth = birth_find(forks, number);
    if (birth == NULL) {
        return 0;
    }
    birth_remove(forks, birth);
    return words_exited(number, WIRE_EXITED_NOT_FORKED);
}

static int births_expire(struct forks *forks)
{
    for (size_t i = forks->birth_count; i > 0; i--) {
        struct birth *birth = &forks->births[i - 1];
        if (clock_monotonic_us() >= birth->until_us && forks_drop(forks, birth->number) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void punish(struct forks *forks, int listener, const struct jail_ask *ask)
{
    struct child *child = children_find_pid(forks->children, ask->pid);
    if (child != NULL) {
        child->is_rogue = true;
    }
    (void)kill(ask->pid, SIGKILL);
    (void)jail_ask_refuse(listener, ask, EPERM);
}

/* A copy that was let be made and has not been taken in yet; only one at a time for each listener,
 * so that there is no doubt whose it is. */
static struct birth *birth_at(struct forks *forks, int listener)
{
    for (size_t i = 0; i < forks->birth_count; i++) {
        if (forks->births[i].listener == listener) {
            return &forks->births[i];
        }
    }
    return NULL;
}

static void fork_asked(struct forks *forks, int listener, const struct jail_ask *ask)
{
    const struct child *parent = children_find_pid(forks->children, ask->pid);
    struct birth *ordered = NULL;
    for (size_t i = 0; parent != NULL && i < forks->birth_count; i++) {
        if (forks->births[i].parent == parent->number) {
            ordered = &forks->births[i];
        }
    }
    if (ordered == NULL || ordered->listener >= 0) {
        punish(forks, listener, ask);
    } else if (birth_at(forks, listener) != NULL) {
        (void)jail_ask_refuse(listener, ask, EAGAIN); /* it asks again */
    } else if (jail_ask_allow(listener, ask) == 0) {
        ordered->listener = listener;
    }
}

static int join_asked(struct forks *forks, int listener, const struct jail_ask *ask)
{
    struct birth *birth = birth_at(forks, listener);
    const struct child child = {
        .number = birth != NULL ? birth->number : 0,
        .pid = ask->pid,
        .stays = true,
    };
    if (birth == NULL || children_find_pid(forks->children, ask->pid) != NULL) {
        punish(forks, listener, ask);
        return 0;
    }
    if (children_add(forks->children, &child) != 0) {
        (void)kill(ask->pid, SIGKILL);
        return forks_drop(forks, child.number);
    }
    int given = jail_ask_give(listener, ask, birth->socket_fd);
    birth_remove(forks, birth);
    if (given != 0) {
        (void)kill(ask->pid, SIGKILL); /* its end is told as any child's */
    }
    return words_number(WIRE_BORN, child.number);
}

static int asked(struct forks *forks, int listener)
{
    struct jail_ask ask;
    if (jail_ask_read(listener, &ask) != 1) {
        return 0;
    }
    if (ask.what == JAIL_ASK_JOIN) {
        return join_asked(forks, listener, &ask);
    }
    fork_asked(forks, listener, &ask);
    return 0;
}

/* ---- Listeners ------------------------------------------------------------------------------- */

/* Comes while the cell enters its jail: nothing of a guest's runs in it yet. */
static void listener_take(struct forks *forks)
{
    uint32_t number;
    int listener = jail_handover_take(&number);
    if (listener >= 0 && forks->listener_count == LIMIT_ZYGOTE_CHILDREN_MAX) {
        fd_close(&listener);
    }
    if (listener >= 0) {
        forks->listeners[forks->listener_count++] = listener;
    }
}

static void listener_close(struct forks *forks, int listener)
{
    for (size_t i = 0; i < forks->listener_count; i++) {
        if (forks->listeners[i] == listener) {
            forks->listeners[i] = forks->listeners[--forks->listener_count];
            break;
        }
    }
    fd_close(&listener);
}

size_t forks_watch(const struct forks *forks, struct pollfd *watched, int *timeout_ms)
{
    watched[0] =
        (struct pollfd){.fd = forks->has_handover ? JAIL_HANDOVER_FD : -1, .events = POLLIN};
    for (size_t i = 0; i < forks->listener_count; i++) {
        watched[1 + i] = (struct pollfd){.fd = forks->listeners[i], .events = POLLIN};
    }
    if (forks->birth_count > 0) {
        *timeout_ms = LIMIT_BIRTH_MS / 4;
    }
    return 1 + forks->listener_count;
}

int forks_serve(struct forks *forks, const struct pollfd *watched, size_t count)
{
    if ((watched[0].revents & POLLIN) != 0) {
        listener_take(forks);
    }
    for (size_t i = 1; i < count; i++) {
        if ((watched[i].revents & POLLIN) != 0) {
            if (asked(forks, watched[i].fd) != 0) {
                return -1;
            }
        } else if (watched[i].revents != 0) { /* nobody is left who could ask */
            listener_close(forks, watched[i].fd);
        }
    }
    return births_expire(forks);
}
