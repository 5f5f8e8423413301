// What the live view has to find: requests that are older than those that it holds, and those that ended while it was cut
// off.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { start } from "./gateway.js";
import { open, visit } from "./browser.js";

let browser;
let gateway;

before(async () => {
  [browser, gateway] = await Promise.all([open(), start({ content: "none" })]);
});
after(async () => {
  await browser?.close();
  gateway?.stop();
});

const rows = (page) => page.locator(".feed tbody tr");
const summary = (page) => page.locator(".summary");

// So many requests to a model, some at a time; the last record is awaited.
async function many(number, model = "openai/gpt-5-mini") {
  const one = () => fetch(`${gateway.api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }] }),
  }).then((answer) => answer.text());
  for (let sent = 0; sent < number; sent += 20) await Promise.all(Array.from({ length: Math.min(20, number - sent) }, one));
}

const held = async () => (await (await fetch(`${gateway.page}/api/records?limit=1000`)).json()).records.length;

async function settled(number) {
  for (let turn = 0; turn < 200 && (await held()) < number; turn += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(await held(), number);
}

// A way to the page that can be cut, as a proxy or a network may do.
async function line(to) {
  const sockets = new Set();
  const { hostname, port } = new URL(to);
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(port, hostname);
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => { other.destroy(); sockets.delete(socket); }).pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    page: `http://127.0.0.1:${server.address().port}`,
    cut: () => { whole = false; sockets.forEach((socket) => socket.destroy()); },
    mend: () => { whole = true; },
    close: () => { sockets.forEach((socket) => socket.destroy()); server.close(); },
  };
}

test("a filter finds what is older than the page holds", async () => {
  await many(3, "nobody/unknown");
  await gateway.ask("Summarize this document in three key points");
  await many(300);
  await settled(304);
  const { page, close } = await visit(browser, gateway.page);
  await summary(page).getByText("200 shown").waitFor();
  await page.getByRole("button", { name: "Errors" }).click();
  await summary(page).getByText("3 shown, 3 failed").waitFor();
  assert.equal(await rows(page).count(), 3);
  assert.equal(await page.getByText("No request matches").count(), 0);

  // A part of a name, and words that the API does not know.
  const field = page.getByRole("searchbox", { name: "Filter" });
  await field.fill("route:SUMMARI");
  await summary(page).getByText("1 shown").waitFor();
  await field.fill("model:unknown status:404 ms>0");
  await summary(page).getByText("0 shown").waitFor();
  await page.getByText("No request matches").waitFor();
  await field.fill("unknown");
  await summary(page).getByText("3 shown, 3 failed").waitFor();
  await page.getByRole("button", { name: "All", exact: true }).click();
  await summary(page).getByText("200 shown").waitFor();
  await close();
});

test("what ended while the page was cut off is there afterwards", async () => {
  const before = await held();
  const way = await line(gateway.page);
  try {
    const { page, close } = await visit(browser, way.page, { allowed: /ERR_/ });
    await summary(page).getByText("200 shown").waitFor();
    way.cut();
    await page.getByText("reconnecting").waitFor();
    await many(500);
    await settled(before + 500);
    way.mend();
    // All that is behind what it held, and a minute more for those that were under way.
    await summary(page).getByText(`${before + 500} shown`).waitFor();
    await close();
  } finally {
    way.close();
  }
});

test("more than the page holds leaves no hole either", async () => {
  const { page, close } = await visit(browser, gateway.page);
  await summary(page).getByText(/\d+ shown/).waitFor();
  const found = await page.evaluate(async () => {
    // A page of its own, in front of records that were never made.
    const id = (at) => `${(1.8e12 + at).toString(16).padStart(12, "0").replace(/^(.{8})/, "$1-")}-7000-8000-000000000000`;
    const all = (to) => Array.from({ length: to }, (_, at) => ({ id: id(at), status: 200 })).reverse();
    let made = 100;
    window.fetch = async (path) => {
      const query = new URL(path, location.href).searchParams;
      const older = all(made).filter((one) => !query.get("before") || one.id < query.get("before"));
      const limit = Number(query.get("limit"));
      const records = older.slice(0, limit);
      return new Response(JSON.stringify({ records, next: older.length > limit ? records.at(-1).id : null }));
    };
    let stream;
    window.EventSource = class extends EventTarget { constructor() { super(); stream = this; } close() {} };
    const { feed, older, start } = await import("/assets/feed.js?another");
    start();
    const lasting = async (holds) => { while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20)); };
    stream.dispatchEvent(new Event("open"));
    await lasting(() => feed.records().length === 100);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    made = 200_000;
    stream.dispatchEvent(new Event("open"));
    await lasting(() => feed.records().length >= 2000);
    const gaps = () => feed.records().slice(1).filter((record, at) => parseInt(feed.records()[at].id.replaceAll("-", "").slice(0, 12), 16) - parseInt(record.id.replaceAll("-", "").slice(0, 12), 16) !== 1).length;
    const first = { held: feed.records().length, gaps: gaps(), ended: feed.ended() };
    await older();
    return [first, { held: feed.records().length, gaps: gaps(), ended: feed.ended() }];
  });
  assert.deepEqual(found, [{ held: 2000, gaps: 0, ended: false }, { held: 2200, gaps: 0, ended: false }]);
  await close();
});
