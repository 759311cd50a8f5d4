/*
 * Sockets: refused, all of them. A cell has no network, and what cannot be done here must be an
 * OSError in Python, not a trap: programs try a connection and go on without.
 */
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/vfs/errno.h"

/* musl's <netdb.h>: EAI_FAIL, a failure that trying again will not mend. */
enum { GUEST_EAI_FAIL = -4 };

static int refuse_socket(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, -GUEST_EACCES);
}

/* There are no socket descriptors, so whatever is given is not one. */
static int not_a_socket(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, -GUEST_ENOTSOCK);
}

static int refuse_name(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, GUEST_EAI_FAIL);
}

static int find_nothing(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, 0);
}

const struct abi_row abi_network[] = {
    {"__syscall_socket", "iiiiii:i", refuse_socket},
    {"__syscall_accept4", "iiiiii:i", not_a_socket},
    {"__syscall_bind", "iiiiii:i", not_a_socket},
    {"__syscall_connect", "iiiiii:i", not_a_socket},
    {"__syscall_getpeername", "iiiiii:i", not_a_socket},
    {"__syscall_getsockname", "iiiiii:i", not_a_socket},
    {"__syscall_getsockopt", "iiiiii:i", not_a_socket},
    {"__syscall_listen", "iiiiii:i", not_a_socket},
    {"__syscall_recvfrom", "iiiiii:i", not_a_socket},
    {"__syscall_recvmsg", "iiiiii:i", not_a_socket},
    {"__syscall_sendmsg", "iiiiii:i", not_a_socket},
    {"__syscall_sendto", "iiiiii:i", not_a_socket},
    {"getaddrinfo", "iiii:i", refuse_name},
    {"getnameinfo", "iiiiiii:i", refuse_name},
    {"getprotobyname", "i:i", find_nothing},
    {"_emscripten_lookup_name", "i:i", find_nothing},
    {NULL, NULL, NULL},
};
