/* What the options say, as a server's configuration. Runs in `vitrine`. */
#ifndef CLI_SERVE_CONFIG_H
#define CLI_SERVE_CONFIG_H

#include "base/err.h"
#include "cli/options.h"
#include "cli/parts.h"
#include "serve/serve.h"

/* Looks for the parts and fills both; the configuration borrows from them and from the options. */
int serve_config_from(const struct options *options, struct parts *parts, struct serve_config *out,
                      struct err *err);

#endif
