// The real binary in front of its echo provider, with an admin listener and a store of its own, for a real browser.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const binary = process.env.WAYPOST_BIN ?? new URL("../../target/debug/waypost", import.meta.url).pathname;

// What a page without care would run.
export const HOSTILE = `<img src=x onerror="window.hacked=1">`;
export const HOSTILE_MODEL = "<svg/onload=window.hacked=2>";

const config = ({ port, admin, echo, nobody, token, folder, content, cooking }) => `
listeners:
  egress_traffic: {address: 127.0.0.1, port: ${port}, timeout: 5s}
admin: {address: 127.0.0.1, port: ${admin}${token ? `, token: ${token}` : ""}}
log: {path: ${folder}/records.db, content: ${content}}
model_providers:
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: "${echo}", default: true}
  - {model: openai/gpt-5-mini, access_key: $OPENAI_API_KEY, base_url: "${echo}"}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "${echo}"}
  # Nobody listens there: what goes to it fails over.
  - {model: away/llama-4, access_key: $OPENAI_API_KEY, base_url: "${nobody}", provider_interface: openai_chat}
  - {model: "any/*", access_key: $OPENAI_API_KEY, base_url: "${echo}", provider_interface: openai_chat}
model_aliases:
  fast: {target: openai/gpt-5-mini}
routing_preferences:
  - name: code debugging
    description: errors, exceptions, stack traces and bugs in code, their causes and fixes
    models: [anthropic/claude-sonnet-4-5]
    threshold: 0.3
    tests: ["fix this error"]
  - name: code generation
    description: new functions, scripts and programs written from a description
    models: [anthropic/claude-sonnet-4-5]
    tests: ["write a Python function"]
  - name: summarization
    description: summaries and key points of documents, articles and conversations
    models: [openai/gpt-5-mini]
    tests: ["summarize this document"]
  - name: translation
    description: translations of text into another language
    models: [away/llama-4, openai/gpt-5-mini]
    tests: ["translate to Spanish"]
  - name: legal
    description: law, contracts, liability, rights, courts and regulation
    models: [openai/gpt-5.2]
    domain: true
    tests: ["What are my rights if a contract is broken by the other side?"]
  - name: '${cooking}'
    description: recipes, cooking times, ingredients and kitchen techniques
    models: [openai/gpt-5-mini]
    tests: ["How long do I boil an egg?"]
`;

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function ready(url, child, output) {
  for (let turn = 0; turn < 600; turn += 1) {
    if (child.exitCode !== null) throw new Error(`ended early with ${child.exitCode}: ${readFileSync(output, "utf8")}`);
    const up = await fetch(url).then((answer) => answer.ok, () => false);
    if (up) return;
    await wait(50);
  }
  throw new Error(`${url} is not ready`);
}

export async function start({ token = "", content = "full", cooking = HOSTILE, delay = "0ms" } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "waypost-page-"));
  const [echoPort, port, admin, nobody] = await Promise.all([1, 2, 3, 4].map(freePort));
  const env = { PATH: process.env.PATH, HOME: folder, OPENAI_API_KEY: "sk-page-1", ANTHROPIC_API_KEY: "sk-page-2" };
  const output = (name) => join(folder, `${name}.out`);
  const run = (name, ...args) => {
    const to = openSync(output(name), "w");
    return spawn(binary, args, { cwd: folder, env, stdio: ["ignore", to, to] });
  };
  const echo = run("echo", "echo", "--listen", `127.0.0.1:${echoPort}`, "--delay", delay);
  await ready(`http://127.0.0.1:${echoPort}/_echo/health`, echo, output("echo"));
  const places = { port, admin, echo: `http://127.0.0.1:${echoPort}`, nobody: `http://127.0.0.1:${nobody}`, token, folder, content, cooking };
  writeFileSync(join(folder, "waypost.yaml"), config(places));
  let gateway;
  const up = () => {
    gateway = run("gateway", "up", "waypost.yaml");
    return ready(`http://127.0.0.1:${port}/readyz`, gateway, output("gateway"));
  };
  await up();
  // Ends it as a crash would, does something meanwhile, and starts it again.
  const restart = async (meanwhile) => {
    gateway.kill("SIGKILL");
    await meanwhile();
    await up();
  };
  const stop = () => {
    gateway.kill();
    echo.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  const api = `http://127.0.0.1:${port}`;
  // A request of an application, as text or as a whole conversation; its answer is read to the end.
  const ask = async (prompt, more = {}) => {
    const messages = Array.isArray(prompt) ? prompt : [{ role: "user", content: prompt }];
    const answer = await fetch(`${api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "auto", messages, ...more }),
    });
    await answer.text();
    const id = answer.headers.get("x-waypost-request-id");
    // Records are written together, a moment later.
    const headers = { authorization: `Bearer ${token}` };
    for (let turn = 0; turn < 100; turn += 1) {
      const kept = await fetch(`http://127.0.0.1:${admin}/api/records/${id}`, { headers });
      if (kept.ok) return { status: answer.status, id };
      await wait(50);
    }
    throw new Error(`there is no record of ${id}`);
  };
  // What the command line says of a configuration in which these lines stand in place of the routes.
  const check = (routes) => new Promise((resolve) => {
    const [before] = config(places).split("routing_preferences:");
    writeFileSync(join(folder, "copied.yaml"), before + routes);
    const child = run("check", "check", "copied.yaml");
    child.on("exit", (code) => resolve({ code, said: readFileSync(output("check"), "utf8") }));
  });
  // What another command says in this folder.
  const says = (...words) => new Promise((resolve) => {
    const child = run("said", ...words);
    child.on("exit", (code) => resolve({ code, said: readFileSync(output("said"), "utf8") }));
  });
  return { page: `http://127.0.0.1:${admin}`, api, folder, stop, restart, ask, check, says };
}
