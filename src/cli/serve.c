/* vitrine stdio, http and example. */
#include "base/log.h"
#include "cli/command.h"
#include "cli/serve_config.h"

static int command_serve(const struct options *options,
                         int (*serve)(const struct serve_config *config, struct err *err))
{
    static struct parts parts; /* the packages go on using its paths */
    struct serve_config config;
    struct err err;
    if (serve_config_from(options, &parts, &config, &err) == 0 && serve(&config, &err) == 0) {
        return 0;
    }
    log_error("%s", err.text);
    return EXIT_OURS;
}

int command_stdio(const struct options *options)
{
    return command_serve(options, serve_stdio);
}

int command_http(const struct options *options)
{
    return command_serve(options, serve_http);
}

int command_example(const struct options *options)
{
    return command_serve(options, serve_example);
}
