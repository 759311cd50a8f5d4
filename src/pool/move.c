/* A session that moves: its state is saved to memory, restored in a session of its own in the other
 * environment, and when that has worked, the two change cells. Until then the old cell rests. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "pool/durable.h"
#include "pool/state.h"

struct move {
    struct pool_session *session; /* a reference */
    struct pool_session *other;   /* where the state arrives; NULL before */
    struct pool_move how;
    struct pool_environment environment;
    int fd;
};

static void move_free(struct move *move)
{
    fd_close(&move->fd);
    free((char *)(uintptr_t)move->environment.id);
    free((char *)(uintptr_t)move->environment.dir);
    free(move);
}

static void finish(struct move *move, const struct err *err)
{
    const struct pool_move how = move->how;
    struct pool_session *session = move->session;
    struct pool_session *other = move->other;
    session->is_moving = false;
    move_free(move);
    if (other != NULL) {
        pool_session_close(other);
    }
    how.done(how.context, err);
    pool_settle_soon(session->pool); /* runs may have waited for this */
    pool_session_unref(session);
}

static void on_arrived(void *context, const struct err *err)
{
    struct move *move = context;
    struct err gone;
    if (err == NULL && pool_session_has_ended(move->session)) {
        err_set(&gone, ERR_GONE, "the session has ended meanwhile");
        err = &gone;
    }
    if (err == NULL) {
        session_take_cell(move->session, move->other);
    }
    finish(move, err);
}

static int arrive(struct move *move, struct err *err)
{
    const struct pool_session *session = move->session;
    const struct pool_session_events nobody = {.context = NULL};
    const struct pool_restore restore = {
        .fd = move->fd,
        .environment = move->how.environment == NULL ? NULL : &move->environment,
        .file_bytes = move->how.file_bytes,
        .file_count = move->how.file_count,
        .context = move,
        .done = on_arrived,
    };
    return lseek(move->fd, 0, SEEK_SET) != 0 ? err_system(err, "moving the session")
           : session_open_beside(session, &nobody, &move->other, err) != 0
               ? -1
               : pool_session_restore(move->other, &restore, NULL, err);
}

static void on_left(void *context, uint64_t bytes, const struct err *err)
{
    struct move *move = context;
    struct err own;
    (void)bytes;
    /* Nothing of the session's runs from here on, or it would be lost. */
    move->session->is_moving = true;
    if (err == NULL && arrive(move, &own) != 0) {
        err = &own;
    } else if (err == NULL) {
        return;
    }
    finish(move, err);
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static struct move *move_new(struct pool_session *session, const struct pool_move *how,
                             struct err *err)
{
    struct move *move = calloc(1, sizeof *move);
    if (move == NULL) {
        err_set(err, ERR_MEMORY, "no memory");
        return NULL;
    }
    move->session = session;
    move->how = *how;
    move->fd = memfd_create("session", MFD_CLOEXEC);
    if (how->environment != NULL) {
        move->environment = (struct pool_environment){.id = copy(how->environment->id),
                                                      .dir = copy(how->environment->dir)};
    }
    if (move->fd < 0 || (how->environment != NULL &&
                         (move->environment.id == NULL || move->environment.dir == NULL))) {
        (void)err_system(err, "moving the session");
        move_free(move);
        return NULL;
    }
    return move;
}

int pool_session_move(struct pool_session *session, const struct pool_move *how, struct err *err)
{
    if (session->is_moving) {
        return err_set(err, ERR_USAGE, "the session moves already");
    }
    struct move *move = move_new(session, how, err);
    if (move == NULL) {
        return -1;
    }
    const struct pool_save save = {.fd = move->fd, .context = move, .done = on_left};
    if (pool_session_save(session, &save, err) != 0) {
        move_free(move);
        return -1;
    }
    pool_session_ref(session);
    return 0;
}
