/* The server's picture, for lists of servers and tools: icons as the protocol has them from
 * 2025-11-25 on. Included once by each file that shows it. */
#ifndef MCP_ICON_H
#define MCP_ICON_H

/* A pane of glass with a prompt behind it, as SVG: a JSON array. */
#define MCP_ICONS                                                                                  \
    "[{\"src\":\"data:image/svg+xml;base64,"                                                       \
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+"             \
    "PHJlY3QgeD0iMiIgeT0iMiIgd2lkdGg9IjIwIiBoZWlnaHQ9IjIwIiByeD0iMyIgZmlsbD0iI2U4ZjRm"             \
    "ZCIgc3Ryb2tlPSIjMmI2Y2IwIiBzdHJva2Utd2lkdGg9IjIiLz48cGF0aCBkPSJNNyA4bDQgNC00IDRN"             \
    "MTMgMTZoNSIgZmlsbD0ibm9uZSIgc3Ryb2tlPSIjMmI2Y2IwIiBzdHJva2Utd2lkdGg9IjIiIHN0cm9r"             \
    "ZS1saW5lY2FwPSJyb3VuZCIvPjwvc3ZnPg=="                                                         \
    "\",\"mimeType\":\"image/svg+xml\",\"sizes\":[\"any\"]}]"

#endif
