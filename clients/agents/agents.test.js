// Claude Code and Codex, unmodified and headless, do one task each that needs a tool, in front of providers of every
// dialect. The echo provider plays the model: it calls the tool that the prompt scripts, and then tells what it got.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { start } from "../node/gateway.js";

const agent = (name) => new URL(`node_modules/.bin/${name}`, import.meta.url).pathname;
const MODELS = ["claude-sonnet-4-5", "openai/gpt-5.2", "native/gpt-5.1", "plain/llama-4", "auto"];

let gateway;
before(async () => {
  gateway = await start();
});
after(() => gateway.stop());

// Runs an agent in a folder of its own; nothing of this machine's settings is seen.
function run(folder, program, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(agent(program), args, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 90_000,
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (printed += data));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, printed }));
  });
}

const script = (tool, input) => `Make the file [[echo call=${tool} arguments='${JSON.stringify(input)}']]`;

for (const model of MODELS) {
  test(`Claude Code calls a tool through ${model}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "waypost-claude-"));
    const prompt = script("Bash", { command: "echo made > made.txt", description: "Makes it" });
    const { code, printed } = await run(folder, "claude", ["-p", prompt, "--allowedTools", "Bash", "--model", model], {
      ANTHROPIC_BASE_URL: gateway.url,
      ANTHROPIC_AUTH_TOKEN: "unused",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    });
    assert.equal(code, 0, printed);
    assert.ok(existsSync(join(folder, "made.txt")), printed);
    assert.equal(readFileSync(join(folder, "made.txt"), "utf8"), "made\n");
    assert.match(printed, /tool results: /);
  });

  test(`Codex calls a tool through ${model}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "waypost-codex-"));
    const provider = `{name="waypost",base_url="${gateway.url}/v1",wire_api="responses",env_key="WAYPOST_KEY"}`;
    const args = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
    args.push("-c", "model_provider=waypost", "-c", `model_providers.waypost=${provider}`, "-m", model);
    args.push(script("exec_command", { cmd: "echo made > made.txt" }));
    const { code, printed } = await run(folder, "codex", args, { WAYPOST_KEY: "unused" });
    assert.equal(code, 0, printed);
    assert.ok(existsSync(join(folder, "made.txt")), printed);
    assert.equal(readFileSync(join(folder, "made.txt"), "utf8"), "made\n");
    assert.match(printed, /tool results: /);
  });
}
