// tour.py in JavaScript: `node tour.mjs LIBRARY TARGET`, where LIBRARY is sdk1 (the official
// TypeScript SDK, first line) or client2 (its second line, both eras). The packages are those in
// VITRINE_TEST_NODE_MODULES.
import { createRequire } from "node:module";
import { setTimeout } from "node:timers/promises";

const require = createRequire(`${process.env.VITRINE_TEST_NODE_MODULES}/from-here.js`);
const CALLS = 6;
const TEXT =
  "naïve 日本語 🦔 שלום e\u0301 \u2028\u2029\x85 \u0000 \x1f \\ \" ' </output> \r\n\ttab";
const TALK = `
import sys, time
for number in range(6):
    print('line', number, file=sys.stderr if number == 3 else sys.stdout, flush=True)
    time.sleep(0.4)
'done'
`;
const SIDE_BY_SIDE = `
import time
begin = time.time()
time.sleep(1.5)
[me, begin, time.time()]
`;
const now = () => performance.now() / 1000;

function sdk1(target, logs) {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const types = require("@modelcontextprotocol/sdk/types.js");
  const stdio = require("@modelcontextprotocol/sdk/client/stdio.js");
  const http = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const sse = require("@modelcontextprotocol/sdk/client/sse.js");
  const client = new Client({ name: "tour", version: "1" });
  client.setNotificationHandler(types.LoggingMessageNotificationSchema, (message) => {
    logs.push([now(), message.params.level, message.params.data]);
  });
  const call = (params, options) => client.callTool(params, undefined, options);
  return { client, call, transport: transportTo(target, { ...stdio, ...http, ...sse }) };
}

function client2(target, logs) {
  const library = require("@modelcontextprotocol/client");
  const stdio = require("@modelcontextprotocol/client/stdio");
  const mode = /^\d/.test(target.mode ?? "") ? { pin: target.mode } : target.mode;
  const client = new library.Client(
    { name: "tour", version: "1" },
    { versionNegotiation: { mode } },
  );
  client.setNotificationHandler("notifications/message", (message) => {
    logs.push([now(), message.params.level, message.params.data]);
  });
  const call = (params, options) => client.callTool(params, options);
  return { client, call, transport: transportTo(target, { ...library, ...stdio }) };
}

function transportTo(target, library) {
  if (target.transport === "stdio") {
    return new library.StdioClientTransport({
      command: target.command,
      args: target.args,
      env: target.env,
    });
  }
  const Transport =
    target.transport === "sse" ? library.SSEClientTransport : library.StreamableHTTPClientTransport;
  return new Transport(new URL(target.url));
}

async function run(tool, code, variables = {}, options = {}, name = "run_python_code") {
  const params = { name, arguments: { python_code: code, global_variables: variables } };
  if (tool.meta !== undefined) {
    params._meta = tool.meta; // how the newest revision asks for log messages
  }
  const result = await tool.call(params, options);
  return {
    text: result.content[0].text,
    structured: result.structuredContent,
    is_error: result.isError === true,
  };
}

const steps = {
  async server({ client }) {
    const tools = (await client.listTools()).tools.map((tool) => tool.name);
    return { version: version(client), name: client.getServerVersion()?.name, tools };
  },
  value: (tool) => run(tool, "{'answer': 6 * 7}"),
  error: (tool) => run(tool, "1 / 0"),
  async unknown_tool(tool) {
    try {
      return await run(tool, "1", {}, {}, "no_such_tool");
    } catch (problem) {
      return { raised: String(problem) };
    }
  },
  async unicode(tool) {
    return { ...(await run(tool, "print(text)\ntext", { text: TEXT })), sent: TEXT };
  },
  large: (tool) => run(tool, "'é' * 200_000"),
  async talk(tool) {
    tool.logs.length = 0;
    if ((version(tool.client) ?? "") < "2026") {
      await tool.client.setLoggingLevel("debug");
    } else {
      tool.meta = { "io.modelcontextprotocol/logLevel": "debug" };
    }
    const progress = [];
    const begin = now();
    const onprogress = (step) => progress.push([now() - begin, step.progress]);
    const result = await run(tool, TALK, {}, { onprogress });
    const seconds = now() - begin;
    const logs = tool.logs.map(([when, level, data]) => [when - begin, level, data]);
    return { result, seconds, logs, progress };
  },
  async parallel(tool) {
    const calls = [...Array(CALLS).keys()].map((me) => run(tool, SIDE_BY_SIDE, { me }));
    return (await Promise.all(calls)).map((result) => result.structured.return_value);
  },
  async cancel(tool) {
    const given_up = [...Array(CALLS).keys()].map(async () => {
      const signal = AbortSignal.timeout(1000);
      const outcome = await run(tool, "import time\ntime.sleep(1000)", {}, { signal }).catch(
        () => "cancelled",
      );
      if (outcome !== "cancelled") {
        throw new Error("the call was not cancelled");
      }
    });
    await Promise.all(given_up);
    return await steps.parallel(tool);
  },
};

async function late() {
  const unref = { ref: false }; // a step that is done in time leaves nothing to wait for
  await setTimeout(30_000, undefined, unref);
  throw new Error("the step took longer than 30 seconds");
}

function version(client) {
  // The first line has no getter for it, but sends it with each request over HTTP.
  return client.getNegotiatedProtocolVersion?.() ?? client.transport?.protocolVersion ?? null;
}

const target = JSON.parse(process.argv[3]);
const logs = [];
const tool = { ...{ sdk1, client2 }[process.argv[2]](target, logs), logs };
await tool.client.connect(tool.transport);
const report = {};
for (const [name, step] of Object.entries(steps)) {
  if (!(target.without ?? []).includes(name)) {
    try {
      report[name] = await Promise.race([step(tool), late()]);
    } catch (problem) {
      report[name] = { failure: String(problem.stack) };
    }
  }
}
await tool.client.close();
process.stdout.write(JSON.stringify(report) + "\n");
