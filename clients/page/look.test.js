// How the page looks and loads: narrow, dark, small, soon; read by those who do not see it. With WAYPOST_SCREENSHOTS=1
// the pictures of the documentation are taken anew.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import png from "upng-js";
import { start } from "./gateway.js";
import { open, visit } from "./browser.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// The first paint of a line of text, on a machine that does nothing else.
const USUAL_MS = 100;
const VIEWS = ["live", "playground", "routes", "overview"];
const PROMPTS = [
  "fix this error: KeyError 'amount' in report.py, line 12",
  "Why does this stack trace end in a NullPointerException?",
  "Write a Python function that merges two sorted lists",
  "Write a script that renames all photos by their date",
  "Summarize this document for the board in five points",
  "Give me the key points of this conversation",
  "Translate this text into Spanish: where is the station?",
  "What are my rights if a contract is broken by the other side?",
  "Who won the chess championship in 1972?",
];

const PICTURE_MS = 330_000;

let browser;
let gateway;

// Traffic that has something of everything.
async function fill(gateway) {
  for (const stream of [false, true]) {
    for (const prompt of PROMPTS) await gateway.ask(prompt, { stream });
  }
  await gateway.ask("Hello [[echo status=400]]", { model: "openai/gpt-5.2" });
  await gateway.ask("Hello", { model: "fast" });
}

before(async () => {
  [browser, gateway] = await Promise.all([open(), start()]);
  await fill(gateway);
});
after(async () => {
  await browser?.close();
  gateway?.stop();
});

// The view with something on it.
async function show(page, view, from = gateway) {
  await page.goto(`${from.page}/#/${view}`);
  if (view === "live") {
    const routed = page.locator(".feed tbody tr", { hasText: "code debugging" }).first();
    await routed.waitFor();
    await routed.click();
    await page.locator(".detail .bars").waitFor();
    await page.locator(".detail .marked").waitFor();
  } else if (view === "playground") {
    await page.getByRole("textbox", { name: "Turn 1" }).fill(PROMPTS[0]);
    await page.locator(".side .bars").waitFor();
    await page.getByRole("combobox", { name: "Beside" }).selectOption("openai/gpt-5.2");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("article").nth(1).getByText(/tokens/).waitFor();
  } else if (view === "routes") {
    await page.getByRole("button", { name: "code debugging" }).click();
    await page.locator(".editor").getByLabel("Name").fill("incidents");
    await page.locator(".editor").getByLabel("Description").fill("various outages, alerts and failures of servers");
    await page.locator(".moves li").first().waitFor();
    await page.locator(".warnings li").first().waitFor();
  } else {
    // It asks once more some seconds later, where nothing was written yet.
    await page.locator(".chart svg rect").first().waitFor();
  }
}

test("every view fits a phone of 360 px and is usable there", async () => {
  for (const view of VIEWS) {
    const { page, close } = await visit(browser, gateway.page, { width: 360, height: 740, hasTouch: true, isMobile: true });
    await show(page, view);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${view} is ${width} px wide`);
    // What is cut off cannot be reached: nothing stands beside the screen, but for what scrolls by itself.
    const outside = await page.evaluate(() => [...document.querySelectorAll("main :is(button, input, select, textarea)")]
      .filter((one) => !one.closest(".scroll, .tabs, .route-list ul, .feed table") && one.getBoundingClientRect().width > 0)
      .filter((one) => one.getBoundingClientRect().right > 361 || one.getBoundingClientRect().left < -1)
      .map((one) => one.outerHTML.slice(0, 120)));
    assert.deepEqual(outside, [], view);
    if (view === "live") {
      await page.getByRole("button", { name: "Close" }).click();
      await page.locator(".feed tbody tr").first().waitFor();
    }
    await page.getByRole("link", { name: "Overview" }).click();
    await page.locator(".view-overview").waitFor();
    await close();
  }
});

test("every view is readable by machines, light and dark", async () => {
  const found = [];
  for (const dark of [false, true]) {
    for (const view of VIEWS) {
      const { page, close } = await visit(browser, gateway.page, { dark });
      await show(page, view);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, nodes } of violations) {
        for (const { html, any } of nodes) found.push(`${view}, ${dark ? "dark" : "light"}: ${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ""}`);
      }
      await close();
    }
  }
  assert.deepEqual(found, []);
});

test("a link that is followed while the page still starts is followed", async () => {
  const context = await browser.newContext();
  // After the first drawing and before anything listens.
  await context.addInitScript(() => {
    const frame = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (call) => {
      window.requestAnimationFrame = frame;
      location.hash = "#/overview";
      return setTimeout(() => frame(call), 50);
    };
  });
  const page = await context.newPage();
  await page.goto(gateway.page);
  await page.locator("main.view-overview").waitFor({ timeout: 15_000 });
  await context.close();
});

test("dark is dark, and the switch holds", async () => {
  const brightness = (page) => page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data[1];
  });
  const { page, close } = await visit(browser, gateway.page, { dark: true });
  await page.locator(".feed").waitFor();
  assert.ok(await brightness(page) < 60);
  await page.keyboard.press("t");
  await page.keyboard.press("t");
  assert.ok(await brightness(page) > 200);
  await page.reload();
  assert.ok(await brightness(page) > 200, "light as chosen, before any script of the page");
  await close();
});

test("the page is small, all of it from here, and soon painted", async (context) => {
  const painted = (page) => page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  const paints = [];
  let size = 0;
  for (let turn = 0; turn < 7; turn += 1) {
    // A line of text from the same listener: what the machine and the browser take for anything at all.
    const bare = await visit(browser, `${gateway.page}/healthz`, { allowed: /status of 404/ });
    await bare.page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
    const least = await painted(bare.page);
    await bare.close();
    const { page, files, close } = await visit(browser, gateway.page);
    await page.locator(".feed tbody tr").first().waitFor();
    paints.push({ page: await painted(page), least });
    if (turn === 0) {
      for (const view of VIEWS) await show(page, view);
      const assets = files.filter((file) => !new URL(file.url()).pathname.startsWith("/api/"));
      size = (await Promise.all(assets.map((file) => file.body()))).reduce((sum, body) => sum + body.length, 0);
      const policy = await files[0].headerValue("content-security-policy");
      assert.match(policy, /default-src 'self'/);
      assert.doesNotMatch(policy, /unsafe/);
    }
    await close();
  }
  const told = paints.map(({ page, least }) => `${page.toFixed(0)} (${least.toFixed(0)})`).join(", ");
  context.diagnostic(`assets ${(size / 1000).toFixed(1)} kB, first paint in ms, and that of a line of text: ${told}`);
  assert.ok(size > 0 && size < 400_000, `${size} bytes`);
  // On a machine that is busy with something else a line of text takes long as well: that much is not the page's.
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const [page, least] = [median(paints.map(({ page }) => page)), median(paints.map(({ least }) => least))];
  assert.ok(page < 300 + Math.max(0, least - USUAL_MS), `${page.toFixed(0)} ms at the median: ${told}`);
});

test("pictures of the documentation", { skip: !process.env.WAYPOST_SCREENSHOTS }, async () => {
  const folder = new URL("../../docs/images/", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const shown = await start({ cooking: "cooking", delay: "120ms" });
  try {
    // Some minutes of it, as charts have a point a minute; long documents, as cost is in them.
    const until = Date.now() + PICTURE_MS;
    for (let turn = 0; Date.now() < until; turn += 1) {
      const prompt = PROMPTS[(turn * 7 + (turn % 4)) % PROMPTS.length];
      const document = "and so on. ".repeat(100 + ((turn * 131) % 900));
      const messages = [{ role: "system", content: document }, { role: "user", content: prompt }];
      if (turn % 23 === 5) await shown.ask("Hello [[echo status=400]]", { model: "openai/gpt-5.2" });
      else if (turn % 9 === 2) await shown.ask(messages, { model: "fast" });
      else await shown.ask(messages, { stream: turn % 3 === 0, stream_options: turn % 3 === 0 ? { include_usage: true } : undefined });
      await wait(60 * (1 + Math.sin(turn / 20)) * (turn % 5));
    }
    await shown.ask(PROMPTS[0]);
    for (const view of VIEWS) {
      const { page, close } = await visit(browser, shown.page, { dark: view === "live" });
      await show(page, view, shown);
      if (view === "overview") await page.getByRole("tab", { name: "15m" }).click();
      await page.mouse.move(0, 0);
      await wait(500);
      // As many colours as a palette has: a quarter of the size.
      const taken = png.decode(await page.screenshot());
      writeFileSync(`${folder}page-${view}.png`, Buffer.from(png.encode(png.toRGBA8(taken), taken.width, taken.height, 256)));
      await close();
    }
  } finally {
    shown.stop();
  }
});
