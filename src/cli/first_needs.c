#include "cli/first_needs.h"

/* What programs that AI clients write import most; each row is an environment. The row of three is
 * the one that a question with a chart for an answer ends in. */
const struct first_need first_needs[] = {
    {{"numpy"}, "arrays and arithmetic"},
    {{"pandas"}, "tables, CSV files"},
    {{"matplotlib", "numpy", "pandas"}, "charts of them"},
    {{"pillow"}, "pictures"},
    {{"pydantic"}, "checked data"},
    {{"pyyaml"}, "YAML files"},
};
const size_t first_need_count = sizeof first_needs / sizeof *first_needs;
