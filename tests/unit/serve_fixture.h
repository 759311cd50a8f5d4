/* The HTTP server of src/serve with stand-ins for everything around it: the transport
 * (fake_http.h), the packages (fake_packages.h), and the pool, which is always ready. */
#ifndef TESTS_SERVE_FIXTURE_H
#define TESTS_SERVE_FIXTURE_H

#include "fake_http.h"
#include "fake_packages.h"
#include "serve/http.h"

extern struct http_serve fixture_serve;
extern struct serve_config fixture_config; /* to be changed before fixture_open */
extern bool fixture_is_ready;              /* the pool is */

/* Fills the configuration with defaults. */
void fixture_init(void);
void fixture_open(void);

/* Ends everything; runs that are open end. */
void fixture_close(void);

#endif
