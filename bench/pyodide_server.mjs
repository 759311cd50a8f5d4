// mcp-run-python's kind as a peer: the official SDK's server over streamable HTTP, without sessions,
// in front of one Pyodide interpreter that all calls share. `node pyodide_server.mjs` prints its
// port. It runs on VITRINE_TEST_NODE_MODULES.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const modules = process.env.VITRINE_TEST_NODE_MODULES;
const require = createRequire(`${modules}/from-here.js`);
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require(
  "@modelcontextprotocol/sdk/server/streamableHttp.js",
);
const { z } = require("zod");
const { loadPyodide } = await import(require.resolve("pyodide/pyodide.mjs"));
const pyodide = await loadPyodide({ indexURL: `${modules}/pyodide`, stdout: () => {} });

function run(code) {
  const globals = pyodide.toPy({ __name__: "__main__" });
  const value = pyodide.runPython(code, { globals });
  globals.destroy();
  return String(value);
}

const listener = createServer(async (request, response) => {
  const server = new McpServer({ name: "pyodide", version: "1" });
  server.registerTool(
    "run_python_code",
    { description: "Run Python", inputSchema: { python_code: z.string() } },
    async ({ python_code }) => ({ content: [{ type: "text", text: run(python_code) }] }),
  );
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: undefined,
    enableJsonResponse: true,
  });
  response.on("close", () => transport.close());
  await server.connect(transport);
  await transport.handleRequest(request, response);
});
listener.listen(0, "127.0.0.1", () => console.log(listener.address().port));
