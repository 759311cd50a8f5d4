/* jail-tables: prints every table of system calls, as docs/seccomp.md and the attacks know them. */
#include <stdio.h>

#include "jail/tables.h"

int main(void)
{
    static const struct rule_table *const tables[] = {
        &jail_cell_table,  &jail_session_table, &jail_closed_table, &jail_zygote_table,
        &jail_build_table, &jail_reader_table,  &jail_writer_table,
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        rules_print(stdout, tables[i]);
    }
    return ferror(stdout) != 0 || fflush(stdout) != 0 ? 1 : 0;
}
