// A newcomer's way from `git clone` to a question answered on the page, with timings:
//   node newcomer.js [REPOSITORY]     clones, builds with cargo (nothing is taken from elsewhere), and goes on
//   WAYPOST_BIN=… node newcomer.js    begins with a program that is built
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, visit } from "./browser.js";

// What a newcomer types, and what is waited for; seconds of each step.
export async function newcomer({ repository, binary }) {
  const steps = {};
  const folder = mkdtempSync(join(tmpdir(), "newcomer-"));
  let demo;
  let browser;
  let began = performance.now();
  const done = (step) => {
    steps[step] = Math.round(performance.now() - began) / 1000;
    began = performance.now();
  };
  const run = (command, options = {}) => {
    const { status } = spawnSync(command[0], command.slice(1), { stdio: ["ignore", "inherit", "inherit"], ...options });
    if (status !== 0) throw new Error(`${command.join(" ")} failed`);
  };
  try {
    if (!binary) {
      run(["git", "clone", "--quiet", repository, join(folder, "waypost")]);
      done("git clone");
      run(["cargo", "build", "--release", "--quiet", "--package", "waypost"], { cwd: join(folder, "waypost"), env: { ...process.env, CARGO_TARGET_DIR: join(folder, "target") } });
      done("cargo build --release");
      binary = join(folder, "target/release/waypost");
    }
    demo = spawn(binary, ["demo", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    const page = await new Promise((resolve, reject) => {
      demo.stdout.on("data", (text) => {
        printed += text;
        const url = /See it: (\S+)/.exec(printed);
        if (url) resolve(url[1]);
      });
      demo.on("exit", () => reject(new Error(`the demo ended:\n${printed}`)));
    });
    if (!/creative writing/.test(printed)) throw new Error(`the table is missing:\n${printed}`);
    done("waypost demo: requests routed, and why");
    browser = await open();
    began = performance.now();
    const opened = await visit(browser, page);
    await opened.page.locator(".feed tbody tr").first().waitFor();
    done("the page: the demo's requests");
    await opened.page.keyboard.press("2");
    await opened.page.getByRole("textbox", { name: "Turn 1" }).fill("What does this function do? def f(x): return x * x");
    await opened.page.locator(".side .bars").waitFor();
    done("the playground: a decision");
    await opened.page.getByRole("button", { name: "Send" }).click();
    await opened.page.getByRole("article").first().getByText(/tokens/).waitFor();
    done("the playground: a question answered");
    await opened.close();
    return steps;
  } finally {
    await browser?.close();
    demo?.kill("SIGINT");
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const repository = process.argv[2] ?? new URL("../..", import.meta.url).pathname;
  const steps = await newcomer({ repository, binary: process.env.WAYPOST_BIN });
  for (const [step, seconds] of Object.entries(steps)) console.log(`${seconds.toFixed(2).padStart(8)} s  ${step}`);
}
