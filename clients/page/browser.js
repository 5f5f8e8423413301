// Debian's Chromium, and what has to hold for every page that a test opens: no error, no request to elsewhere, nothing
// that ran out of data.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

export const open = () => chromium.launch({
  executablePath,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// A page at an address, watched. `allowed` are errors that the test provokes, such as a status of 401.
export async function visit(browser, url, { width = 1280, height = 800, dark = false, allowed = /^$/, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"], ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const wrong = [];
  const files = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && !allowed.test(message.text()) && wrong.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`thrown: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const to = request.url();
    if (!to.startsWith(new URL(url).origin) && !to.startsWith("data:")) wrong.push(`a request to ${to}`);
  });
  page.on("response", (response) => files.push(response));
  await page.goto(url);
  const close = async () => {
    assert.equal(await page.evaluate(() => window.hacked), undefined, "something out of data was run");
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, files, close };
}
