#include "guest/run_on_stack.h"

#include <errno.h>
#include <pthread.h>

#include "base/limits.h"

/* What the host's own frames need below the guest's. */
#define HOST_STACK_BYTES (2 * MIB)

struct job {
    int (*body)(void *context, struct err *err);
    void *context;
    struct err *err;
    int result;
};

static void *job_run(void *argument)
{
    struct job *job = argument;
    job->result = job->body(job->context, job->err);
    return NULL;
}

int run_on_stack(int (*body)(void *context, struct err *err), void *context, struct err *err)
{
    struct job job = {body, context, err, -1};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    errno = pthread_attr_setstacksize(&attributes, LIMIT_GUEST_STACK_BYTES + HOST_STACK_BYTES);
    if (errno == 0) {
        errno = pthread_create(&thread, &attributes, job_run, &job);
    }
    pthread_attr_destroy(&attributes);
    if (errno != 0) {
        return err_system(err, "start a thread with a stack of %llu MiB",
                          (LIMIT_GUEST_STACK_BYTES + HOST_STACK_BYTES) / MIB);
    }
    pthread_join(thread, NULL);
    return job.result;
}
