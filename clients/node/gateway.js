// The real binary, in front of its echo provider, for the real SDK.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

// A model of each kind of provider: one that speaks Chat Completions, Messages, Responses, or both of OpenAI's.
export const EACH = ["plain/llama-4", "anthropic/claude-sonnet-4-5", "native/gpt-5.1", "openai/gpt-5.2"];

const binary = process.env.WAYPOST_BIN ?? new URL("../../target/debug/waypost", import.meta.url).pathname;

const config = (port, echo) => `
listeners:
  egress_traffic: {address: 127.0.0.1, port: ${port}, message_format: openai, timeout: 5s}
llm_providers:
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: "${echo}", default: true}
  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY
    base_url: ${echo}
    routing_preferences:
      - name: creative writing
        description: creative content generation, storytelling, and writing assistance
  - {model: plain/llama-4, access_key: $OPENAI_API_KEY, base_url: "${echo}", provider_interface: openai_chat}
  - {model: native/gpt-5.1, access_key: $OPENAI_API_KEY, base_url: "${echo}", provider_interface: openai_responses}
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

async function ready(url, child) {
  for (let turn = 0; turn < 200; turn += 1) {
    if (child.exitCode !== null) throw new Error(`ended early with ${child.exitCode}`);
    const up = await fetch(url).then((answer) => answer.ok, () => false);
    if (up) return;
    await wait(50);
  }
  throw new Error(`${url} is not ready`);
}

export async function start() {
  const folder = mkdtempSync(join(tmpdir(), "waypost-node-"));
  const [echoPort, port] = [await freePort(), await freePort()];
  const env = { PATH: process.env.PATH, OPENAI_API_KEY: "sk-node-1", ANTHROPIC_API_KEY: "sk-node-2" };
  const run = (name, ...args) => {
    const output = openSync(join(folder, `${name}.out`), "w");
    return spawn(binary, args, { cwd: folder, env, stdio: ["ignore", output, output] });
  };
  const echo = run("echo", "echo", "--listen", `127.0.0.1:${echoPort}`);
  await ready(`http://127.0.0.1:${echoPort}/_echo/health`, echo);
  writeFileSync(join(folder, "waypost.yaml"), config(port, `http://127.0.0.1:${echoPort}`));
  const gateway = run("gateway", "up", "waypost.yaml");
  await ready(`http://127.0.0.1:${port}/readyz`, gateway);
  const stop = () => {
    gateway.kill();
    echo.kill();
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}
