// Pyodide under Node as a peer: reads one JSON request from the command line, prints one JSON line.
//   cold CODE          load, run once; the caller times the whole process
//   calls COUNT CODE   one interpreter reused, fresh globals for each call: milliseconds of each
//   programs FILE...   the wrapped programs; each prints its own seconds
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const modules = process.env.VITRINE_TEST_NODE_MODULES;
const { loadPyodide } = await import(
  createRequire(`${modules}/x.js`).resolve("pyodide/pyodide.mjs"));
const out = [];
const pyodide = await loadPyodide({
  indexURL: `${modules}/pyodide`,
  stdout: (line) => out.push(line),
});
const run = (code) => pyodide.runPython(code, { globals: pyodide.toPy({ __name__: "__main__" }) });
const [command, ...rest] = process.argv.slice(2);
if (command === "cold") {
  run(rest[0]);
} else if (command === "calls") {
  const times = [];
  for (let i = 0; i < Number(rest[0]) + 20; i++) {
    const start = performance.now();
    run(rest[1]);
    times.push(performance.now() - start);
  }
  out.push(JSON.stringify(times.slice(20)));
} else {
  for (const file of rest) {
    run(readFileSync(file, "utf8"));
  }
}
console.log(out.join("\n"));
