/* Prints the schema of structured content, from which docs/results.md is made. */
#include <stdio.h>

#include "result/render.h"

int main(void)
{
    return puts(result_schema_json) < 0 ? 1 : 0;
}
