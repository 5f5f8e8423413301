// The real binary, in front of its echo provider, for the real SDKs. A witness on each side of it holds what is said
// against the official schemas.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";

// A model of each kind of provider: of one for Chat Completions, Messages, Responses, both of OpenAI's, Gemini or Converse.
export const EACH = [
  "plain/llama-4",
  "anthropic/claude-sonnet-4-5",
  "native/gpt-5.1",
  "openai/gpt-5.2",
  "native/gemini-3-pro",
  "amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
];
// By name, by alias, by preference.
export const EVERY_WAY = [...EACH, "creative-model", "auto"];

export const binary = process.env.WAYPOST_BIN ?? new URL("../../target/debug/waypost", import.meta.url).pathname;

const python = process.env.WAYPOST_PYTHON ?? new URL("../../.venv/bin/python", import.meta.url).pathname;
const witness = new URL("../schemas/witness.py", import.meta.url).pathname;

const config = (port, echo) => `
listeners:
  egress_traffic: {address: 127.0.0.1, port: ${port}, message_format: openai, timeout: 5s}
reliability: {attempts: 1}
llm_providers:
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: "${echo}", stream_usage: true, default: true}
  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY
    base_url: ${echo}
    routing_preferences:
      - name: creative writing
        description: creative content generation, storytelling, and writing assistance
  - {model: plain/llama-4, access_key: $OPENAI_API_KEY, base_url: "${echo}", provider_interface: openai_chat}
  - {model: native/gpt-5.1, access_key: $OPENAI_API_KEY, base_url: "${echo}", provider_interface: openai_responses}
  - {model: native/gemini-3-pro, access_key: $GEMINI_API_KEY, base_url: "${echo}", provider_interface: gemini_native}
  - model: amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0
    access_key: $OPENAI_API_KEY
    region: eu-central-1
    base_url: ${echo}
model_aliases:
  creative-model: {target: claude-sonnet-4-5}
`;

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// Over a connection of its own: on any other one it would be passed on.
async function verdictsOf(port) {
  const [answer] = await once(get({ host: "127.0.0.1", port, path: "/_witness", agent: false }), "response");
  return json(answer);
}

async function ready(url, child) {
  for (let turn = 0; turn < 600; turn += 1) {
    if (child.exitCode !== null) throw new Error(`ended early with ${child.exitCode}`);
    const up = await fetch(url).then((answer) => answer.ok, () => false);
    if (up) return;
    await wait(50);
  }
  throw new Error(`${url} is not ready`);
}

export async function start() {
  const folder = mkdtempSync(join(tmpdir(), "waypost-node-"));
  const [echoPort, upstream, port, downstream] = await Promise.all([1, 2, 3, 4].map(freePort));
  const env = {
    PATH: process.env.PATH,
    OPENAI_API_KEY: "sk-node-1",
    ANTHROPIC_API_KEY: "sk-node-2",
    GEMINI_API_KEY: "sk-node-3",
  };
  const run = (name, ...args) => {
    const output = openSync(join(folder, `${name}.out`), "w");
    return spawn(binary, args, { cwd: folder, env, stdio: ["ignore", output, output] });
  };
  const echo = run("echo", "echo", "--listen", `127.0.0.1:${echoPort}`);
  await ready(`http://127.0.0.1:${echoPort}/_echo/health`, echo);
  // A witness goes when its standard input does, even if this process is killed.
  const places = ["upstream", upstream, echoPort, "downstream", downstream, port];
  const witnesses = spawn(python, [witness, ...places], { stdio: ["pipe", "inherit", "inherit"] });
  const yaml = config(port, `http://127.0.0.1:${upstream}`);
  writeFileSync(join(folder, "waypost.yaml"), yaml);
  const gateway = run("gateway", "up", "waypost.yaml");
  await ready(`http://127.0.0.1:${port}/readyz`, gateway);
  for (const at of [upstream, downstream]) await ready(`http://127.0.0.1:${at}/_witness`, witnesses);
  const stop = () => {
    gateway.kill();
    echo.kill();
    witnesses.kill();
  };
  // What went either way since the last call is what the schemas allow.
  const judge = async () => {
    for (const at of [upstream, downstream]) {
      assert.deepEqual((await verdictsOf(at)).verdicts, []);
    }
  };
  // The body of the last request that a provider saw.
  const reached = async () => (await (await fetch(`http://127.0.0.1:${echoPort}/_echo/requests`)).json()).at(-1).body;
  // The same configuration at a port where nobody is, for another gateway in front of the same provider.
  const elsewhere = yaml.replace(`port: ${port}`, `port: ${await freePort()}`);
  return { url: `http://127.0.0.1:${downstream}`, config: elsewhere, stop, judge, reached };
}
