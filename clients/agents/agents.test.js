// Claude Code and Codex, unmodified and headless, do one task each that needs a tool, in front of providers of every
// dialect. The echo provider plays the model: it calls the tool that the prompt scripts, and then tells what it got.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { binary, start } from "../node/gateway.js";

const bin = new URL("node_modules/.bin", import.meta.url).pathname;
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
    const child = spawn(program === "waypost" ? binary : agent(program), args, {
      cwd: folder,
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, ...env },
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

// Started by Waypost itself: against the gateway that runs, and against one of its own. The agent's files are as before,
// and it never sees a provider's key.
const KEYS = { OPENAI_API_KEY: "sk-agents-secret", ANTHROPIC_API_KEY: "sk-agents-secret" };
const TASKS = {
  claude: {
    tool: "Bash",
    input: { command: "env > made.txt", description: "Makes it" },
    args: (prompt) => ["-p", prompt, "--allowedTools", "Bash"],
  },
  codex: {
    tool: "exec_command",
    input: { cmd: "env > made.txt" },
    args: (prompt) => ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
  },
};

for (const [name, { tool, input, args }] of Object.entries(TASKS)) {
  for (const own of [false, true]) {
    test(`waypost run ${name}, ${own ? "with a gateway of its own" : "against one that runs"}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "waypost-run-"));
      if (own) writeFileSync(join(folder, "waypost.yaml"), gateway.config);
      const where = own ? ["--model", "openai/gpt-5.2"] : ["--url", gateway.url];
      const started = ["run", name, ...where, "--", ...args(script(tool, input))];
      const { code, printed } = await run(folder, "waypost", started, {
        ...KEYS,
        GEMINI_API_KEY: "sk-agents-secret",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      });
      assert.equal(code, 0, printed);
      const seen = readFileSync(join(folder, "made.txt"), "utf8");
      assert.match(seen, /127\.0\.0\.1|WAYPOST_KEY=waypost/);
      assert.doesNotMatch(seen, /sk-agents-secret/);
      assert.doesNotMatch(printed, /sk-agents-secret/);
      const settings = [".claude/settings.json", ".codex/config.toml"].filter((file) => existsSync(join(folder, file)));
      for (const file of settings) assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /waypost|127\.0\.0\.1/i);
      assert.deepEqual(readdirSync(folder).includes("waypost.yaml"), own);
    });
  }
}

test("waypost run says how an agent that is missing is installed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "waypost-run-"));
  const { code, printed } = await run(folder, "waypost", ["run", "claude", "--url", gateway.url], { PATH: folder });
  assert.equal(code, 1);
  assert.match(printed, /npm install -g @anthropic-ai\/claude-code/);
});
