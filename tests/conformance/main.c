/* vitrine with the fixtures of the conformance suites beside the real tool: `stdio` and `http`,
 * with the options that `vitrine` has. Its other parts are those of the build folder it was made
 * in. */
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/options.h"
#include "cli/parts.h"
#include "cli/serve_config.h"
#include "fixtures.h"

int main(int argc, char **argv)
{
    static struct options options;
    static struct parts parts;
    static struct serve_config config;
    struct err err;
    signal(SIGPIPE, SIG_IGN);
    setenv("VITRINE_CELL", BUILD_ROOT "/vitrine-cell", 0);
    setenv("VITRINE_GUEST_DIR", BUILD_ROOT "/guest", 0);
    if (options_parse(argc, argv, &options, &err) != 0 ||
        serve_config_from(&options, &parts, &config, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_FAILURE;
    }
    log_set_level(options.verbosity > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
    config.register_more = conformance_register;
    int failed =
        options.command == COMMAND_HTTP ? serve_http(&config, &err) : serve_stdio(&config, &err);
    if (failed != 0) {
        log_error("%s", err.text);
    }
    return failed == 0 ? 0 : EXIT_FAILURE;
}
