// The page of the admin listener, in a real browser, on data of real requests.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { HOSTILE, HOSTILE_MODEL, start } from "./gateway.js";
import { open, visit } from "./browser.js";

let browser;
let gateway;

before(async () => {
  [browser, gateway] = await Promise.all([open(), start()]);
});
after(async () => {
  await browser?.close();
  gateway?.stop();
});

const VIEWS = ["live", "playground", "routes", "overview"];
const DEBUG = "fix this error: KeyError 'amount' in report.py, line 12";
const rows = (page) => page.locator(".feed tbody tr");
const row = (page, id) => page.locator(`[id="row-${id}"]`);

// The text of a `dl` of facts.
const fact = (page, name) => page.locator(`.facts > div:has(> dt:text-is("${name}")) > dd`).first();

test("an empty live view says what to do, and the line works", async () => {
  const { page, close } = await visit(browser, gateway.page);
  const line = await page.locator(".empty pre").textContent();
  assert.match(line, new RegExp(`^curl ${gateway.api}/v1/chat/completions`));
  const { stdout } = await promisify(execFile)("bash", ["-c", `${line.replace("curl ", "curl -sS ")}`]);
  assert.match(stdout, /Echo of claude-sonnet-4-5/);
  await rows(page).first().waitFor();
  assert.match(await rows(page).first().innerText(), /code debugging/);
  // The first request had to connect to its provider.
  await rows(page).first().click();
  const detail = page.getByRole("complementary", { name: "The request" });
  await detail.locator(".lane .connecting").first().waitFor({ state: "attached" });
  assert.match(await detail.locator(".strip + .legend").innerText(), /decision[\s\S]*connecting[\s\S]*to first byte/);
  await close();
});

test("requests appear as they end", async () => {
  const { page, close } = await visit(browser, gateway.page);
  await page.getByText("live", { exact: true }).waitFor();
  const { id } = await gateway.ask("Summarize this document in three key points");
  const shown = row(page, id);
  await shown.waitFor();
  const text = await shown.innerText();
  for (const part of ["200", "summarization", "gpt-5-mini", "%", "ms", "$"]) assert.ok(text.includes(part), `${part} in ${text}`);
  assert.equal(await rows(page).first().getAttribute("id"), `row-${id}`, "the newest is first");
  await close();
});

test("a request's story: probabilities, words, attempts, timings, cost", async () => {
  const { id } = await gateway.ask("Translate this text into Spanish: where is the station?", { stream: true, stream_options: { include_usage: true } });
  const { page, close } = await visit(browser, `${gateway.page}/#/live/${id}`);
  const detail = page.getByRole("complementary", { name: "The request" });
  await detail.getByRole("heading", { level: 2 }).getByText("translation").waitFor();
  const bars = detail.locator(".bars li");
  assert.equal(await bars.count(), 7, "six routes and none");
  assert.match(await bars.first().innerText(), /translation\s+>?\d+ %/);
  assert.equal(await detail.locator(".bars .tick").count(), 1, "the threshold of one route");
  // The first model is away.
  const tries = detail.locator(".timeline li");
  assert.equal(await tries.count(), 2);
  assert.match(await tries.nth(0).innerText(), /away\/llama-4[\s\S]*transport/);
  assert.match(await tries.nth(1).innerText(), /gpt-5-mini[\s\S]*200/);
  // Words are judged by the routes in force.
  await detail.locator(".marked mark").first().waitFor();
  assert.match(await detail.locator(".effects li").first().innerText(), /[+−]\d/);
  assert.match(await detail.locator(".flips li").first().innerText(), /^Without [\s\S]+ to \w/);
  assert.match(await fact(detail, "Request").innerText(), new RegExp(id));
  assert.match(await fact(detail, "Cost").innerText(), /^\$0\.0/);
  assert.match(await fact(detail, "By the default model").innerText(), /^\$0\.0/);
  assert.match(await detail.locator(".talk").innerText(), /where is the station\?[\s\S]*Echo of gpt-5-mini/);
  assert.match(await detail.locator(".strip + .legend").innerText(), /decision[\s\S]*to end/);
  await detail.getByRole("button", { name: "Copy as JSON" }).click();
  assert.equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).id, id);
  await close();
});

test("the live view is filtered, paused and walked by keys", async () => {
  await gateway.ask(DEBUG);
  await gateway.ask("hello", { model: "nobody/unknown" });
  const { page, close } = await visit(browser, gateway.page);
  await rows(page).first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("route:\"code debugging\" ms>0");
  await page.waitForFunction(() => [...document.querySelectorAll(".feed tbody .c-route")].every((cell) => cell.textContent === "code debugging"));
  assert.ok(await rows(page).count() > 0);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Errors" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".feed tbody .c-status")].every((cell) => cell.textContent.startsWith("4")));
  await page.getByRole("button", { name: "All", exact: true }).click();

  const first = await rows(page).first().getAttribute("id");
  await page.keyboard.press("p");
  const { id } = await gateway.ask("Summarize this article");
  await page.getByRole("button", { name: /Resume.*1/ }).waitFor();
  assert.equal(await rows(page).first().getAttribute("id"), first, "paused");
  await page.keyboard.press("p");
  await row(page, id).waitFor();

  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const detail = page.getByRole("complementary", { name: "The request" });
  await detail.waitFor();
  assert.equal(await rows(page).nth(1).getAttribute("aria-selected"), "true");
  await page.keyboard.press("k");
  await page.waitForFunction((id) => location.hash.endsWith(id), id);
  await page.keyboard.press("Escape");
  await detail.waitFor({ state: "detached" });
  for (const [index, view] of VIEWS.entries()) {
    await page.keyboard.press(String(index + 1));
    await page.waitForFunction((view) => location.hash.startsWith(`#/${view}`), view);
  }
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await close();
});

test("the filter's words", async () => {
  const { page, close } = await visit(browser, gateway.page);
  const record = { id: "01a2", provider: "openai", model: "gpt-5.2", route: "code debugging", method: "preference", status: 429, total_ms: 512, cost: 0.002, input_tokens: 900, output_tokens: 200, error: "Too many requests", caller: "3fa9c2d1e0b7" };
  const found = (typed) => page.evaluate(async ([typed, record]) => (await import("/assets/filter.js")).matcher(typed)(record), [typed, record]);
  for (const typed of ["", "GPT", "openai/gpt", "route:code", 'route:"code debugging"', 'route:"code deb', "status:error", "status:4xx", "status:429", "ms>500", "ms<513", "tokens>1000", "cost>0.001", "too many", "caller:3fa9", "method:pref gpt", "  "]) {
    assert.equal(await found(typed), true, typed);
  }
  for (const typed of ["claude", "route:general", "status:ok", "status:5xx", "ms>512", "cost>1", "confidence>0", "gpt claude", "unknown:key", 'route:"debugging code"']) {
    assert.equal(await found(typed), false, typed);
  }
  // A stream that broke off is an error, whatever status it began with.
  Object.assign(record, { status: 200, error: "the stream ended before it was complete" });
  for (const [typed, expected] of [["status:error", true], ["status:ok", false], ["status:200", true], ["status:2xx", true]]) {
    assert.equal(await found(typed), expected, typed);
  }
  await close();
});

test("an explanation's words are found in the text, each occurrence once", async () => {
  const { page, close } = await visit(browser, gateway.page);
  const marked = (text, effects) => page.evaluate(async ([text, effects]) => (await import("/assets/parts.js")).marked(text, effects).map((piece) => (piece.effect ? `[${piece.text}]` : piece.text)).join(""), [text, effects.map((words) => ({ words, effect: 0.1 }))]);
  assert.equal(await marked("fix this, fix that", ["fix"]), "[fix] this, fix that");
  assert.equal(await marked("fix this, fix that", ["fix", "fix"]), "[fix] this, [fix] that");
  assert.equal(await marked("a b\n c", ["b c"]), "a [b]\n [c]");
  assert.equal(await marked("one extraordinarily", ["one extra…"]), "[one] [extraordinarily]");
  assert.equal(await marked("nothing here", ["elsewhere", "", "…"]), "nothing here");
  assert.equal(await marked("", ["x"]), "");
  await close();
});

test("the page finds a gateway that was away", async () => {
  const other = await start();
  try {
    const { page, close } = await visit(browser, other.page, { allowed: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/ });
    await page.getByText("No request yet").waitFor();
    await other.restart(() => page.getByText("reconnecting").waitFor());
    const { id } = await other.ask(DEBUG);
    await row(page, id).waitFor();
    await page.getByText("live", { exact: true }).waitFor();
    await close();
  } finally {
    other.stop();
  }
});

test("older requests than the first page are there on demand", async () => {
  const { page, close } = await visit(browser, gateway.page);
  await rows(page).first().waitFor();
  const held = await page.evaluate(() => fetch("api/records?limit=2").then((answer) => answer.json()));
  assert.equal(held.records.length, 2);
  const next = await page.evaluate((before) => fetch(`api/records?limit=2&before=${before}`).then((answer) => answer.json()), held.next);
  assert.ok(next.records[0].id < held.records[1].id);
  await close();
});

test("the playground decides while one types, sends, and compares", async () => {
  const { page, close } = await visit(browser, `${gateway.page}/#/playground`, { allowed: /status of 404/ });
  const field = page.getByRole("textbox", { name: "Turn 1" });
  const verdict = page.locator(".side .verdict");
  await field.fill("Translate this text into Spanish");
  await verdict.getByText("translation").waitFor();
  await field.fill(DEBUG);
  await verdict.getByText("code debugging").waitFor();
  await page.locator(".behind mark").first().waitFor();
  assert.match(await page.locator(".side .effects li").first().innerText(), /\w/);
  assert.match(await page.locator(".side .sub").first().innerText(), /\d+ % sure · decided in/);

  // A longer conversation.
  await page.getByRole("button", { name: "Add a turn" }).click();
  await page.getByRole("textbox", { name: "Turn 2" }).fill("The key is missing in one row.");
  await page.getByRole("button", { name: "Add a turn" }).click();
  await page.getByRole("textbox", { name: "Turn 3" }).fill("Now translate the answer into Spanish");
  await verdict.getByText("translation").waitFor();
  await page.getByText("Turns", { exact: true }).waitFor();

  await page.getByRole("combobox", { name: "Model" }).selectOption("fast");
  await page.getByText("The request names").waitFor();
  await page.getByRole("combobox", { name: "Model" }).selectOption("auto");
  await page.getByRole("combobox", { name: "Beside" }).selectOption("anthropic/claude-sonnet-4-5");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Send" }).click();
  const answers = page.getByRole("article");
  await answers.nth(0).getByText(/Echo of gpt-5-mini/).waitFor();
  await answers.nth(1).getByText(/Echo of claude-sonnet-4-5/).waitFor();
  await answers.nth(0).getByText(/\d+ → \d+ tokens/).waitFor();
  await answers.nth(0).getByRole("link", { name: "Its record" }).click();
  await page.getByRole("complementary", { name: "The request" }).getByRole("heading", { level: 2 }).getByText("translation").waitFor();

  // The draft is still there; what was pasted as JSON becomes turns.
  await page.keyboard.press("2");
  await page.getByRole("textbox", { name: "Turn 3" }).waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await page.evaluate((text) => navigator.clipboard.writeText(text), JSON.stringify({ model: "x", messages: [{ role: "system", content: "Be brief" }, { role: "user", content: [{ type: "text", text: DEBUG }] }] }));
  await field.focus();
  await page.keyboard.press("Control+v");
  await verdict.getByText("code debugging").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Turn 2" }).inputValue(), DEBUG);

  // Quotes and line ends survive the shell.
  await page.getByRole("textbox", { name: "Turn 2" }).fill("it's \"quoted\" $HOME `x` \\ and\nsplit");
  const line = await page.locator(".code pre").textContent();
  const { stdout } = await promisify(execFile)("bash", ["-c", line.replace("curl ", "curl -sS ")]);
  assert.match(JSON.parse(stdout).choices[0].message.content, /it's "quoted" \$HOME `x` \\ and\nsplit/);
  for (const [tab, word] of [["Python", "from openai import OpenAI"], ["Node", "import OpenAI from"]]) {
    await page.getByRole("tab", { name: tab }).click();
    assert.ok((await page.locator(".code pre").textContent()).includes(word));
  }
  await close();
});

test("the playground says why a request fails, and can be stopped", async () => {
  const { page, close } = await visit(browser, `${gateway.page}/#/playground`, { allowed: /status of 4\d\d|status of 5\d\d/ });
  await page.getByRole("textbox", { name: "Turn 1" }).fill("Hello [[echo status=400]]");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("article").getByRole("alert").waitFor();
  await page.getByRole("textbox", { name: "Turn 1" }).fill("Hello there, how are you [[echo hang_after=3]]");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("streaming").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("article").getByText("stopped").waitFor();
  await close();
});

test("routes are edited on a copy: what moves, what the linter says, YAML that the gateway takes", async () => {
  await gateway.ask(DEBUG);
  await gateway.ask("Fix this exception: TypeError in the parser");
  const { page, close } = await visit(browser, `${gateway.page}/#/routes`);
  const editor = page.locator(".editor");
  const considered = page.locator(".tile", { hasText: "Considered" }).locator("dd");
  await considered.waitFor();
  await page.getByText("Nothing moves.").waitFor();

  await page.getByRole("button", { name: "code debugging" }).click();
  await editor.getByLabel("Description").fill("various problems and anything else");
  await editor.locator(".warnings").getByText("WR004").waitFor();
  await editor.getByLabel("Name").fill("repairs");
  await editor.getByLabel("Description").fill("plumbing, roofs, carpentry and painting of houses");
  await page.locator(".moves li", { hasText: "KeyError" }).first().waitFor();
  assert.match(await page.locator(".tile", { hasText: "Would move" }).innerText(), /[1-9]/);
  await page.getByRole("tab", { name: "Confusion" }).click();
  await page.locator(".matrix td.moved").first().waitFor();
  assert.match(await page.locator(".matrix td.moved").first().getAttribute("title"), /^code debugging → .*: [1-9]/);

  await page.getByRole("tab", { name: "Try" }).click();
  await page.getByRole("textbox", { name: "Prompt" }).fill("My roof leaks, which plumbing or carpentry does that need?");
  await page.locator(".side .verdict").getByText("repairs").waitFor();

  await editor.getByLabel("Examples").fill("The tap drips\n\nThe door does not close");
  await page.getByRole("slider", { name: "Threshold" }).fill("0.4");
  await page.getByRole("combobox", { name: "Add a model" }).selectOption("openai/gpt-5-mini");
  await page.getByRole("button", { name: "Move openai/gpt-5-mini up" }).click();
  await page.getByRole("tab", { name: "YAML" }).click();
  const yaml = page.locator(".tall pre");
  // The last of the edits; on a busy machine those before are shown first.
  await page.locator(".tall pre", { hasText: /gpt-5-mini.*claude-sonnet-4-5/ }).waitFor();
  const text = await yaml.textContent();
  const [edited] = text.split(/\n  - /).filter((part) => part.includes("repairs"));
  for (const part of ["plumbing, roofs", "The tap drips", "0.4", "fix this error"]) assert.ok(edited.includes(part), `${part} in ${edited}`);
  assert.ok(edited.indexOf("gpt-5-mini") < edited.indexOf("claude-sonnet-4-5"));
  const checked = await gateway.check(text);
  assert.equal(checked.code, 0, checked.said);

  // The copy outlives a reload; the gateway routes as before.
  await page.reload();
  await page.getByRole("button", { name: /repairs/ }).waitFor();
  const { id } = await gateway.ask(DEBUG);
  const record = await page.evaluate((id) => fetch(`api/records/${id}`).then((answer) => answer.json()), id);
  assert.equal(record.route, "code debugging");
  await page.getByRole("button", { name: "Start over" }).click();
  await page.getByRole("button", { name: /code debugging/ }).waitFor();
  await page.getByRole("button", { name: "Add a route" }).click();
  await page.getByRole("button", { name: "Remove this route" }).click();
  await close();
});

test("the overview adds up", async () => {
  const { page, close } = await visit(browser, `${gateway.page}/#/overview`);
  const tile = (name) => page.locator(".tile", { hasText: name }).locator("dd");
  await tile("Requests").waitFor();
  assert.ok(Number(await tile("Requests").innerText()) >= 5);
  assert.match(await tile("Cost").innerText(), /^\$0\.\d/);
  // What nobody knows the price of is no gift, and said without a mouse.
  await gateway.ask("Hello", { model: "any/unpriced" });
  const unpriced = page.getByRole("group", { name: "By model" }).getByRole("row", { name: /any\/unpriced/ });
  await unpriced.waitFor();
  assert.deepEqual((await unpriced.locator("td").allInnerTexts()).slice(-2), ["–", "–"]);
  assert.match(await page.locator(".uncounted").innerText(), /no price or no usage is known: .*any\/unpriced \(1\)/);
  // The figures of the tiles are the API's of everything, and not means of minutes.
  const { total } = await page.evaluate(() => fetch("/api/series?since=1h&step=60").then((answer) => answer.json()));
  assert.ok(total.p95_ms > 0 && total.saved + total.cost - total.default_cost < 1e-9);
  assert.ok(await page.locator(".chart svg rect").count() > 0);
  assert.equal(await page.locator(".chart").count(), 4);
  await page.locator("table", { hasText: "Requests" }).getByText("claude-sonnet-4-5").first().waitFor();
  await page.getByRole("group", { name: "Targets" }).getByText("ready").first().waitFor();
  assert.match(await fact(page, "Hash").innerText(), /^[0-9a-f]{8,}/);
  assert.match(await fact(page, "File").innerText(), /waypost\.yaml$/);
  assert.match(await fact(page, "Listeners").innerText(), new RegExp(gateway.api.slice(7)));
  assert.match(await fact(page, "Content").innerText(), /kept in full/);
  const before = Number(await tile("Requests").innerText());
  await gateway.ask("Summarize this");
  await page.waitForFunction((before) => Number([...document.querySelectorAll(".tile")].find((one) => one.textContent.startsWith("Requests")).querySelector("dd").textContent) > before, before);
  // By model and by route, by the keyboard alone: a line for each, with a name.
  await page.getByRole("tab", { name: "All" }).focus();
  for (const [kind, name] of [["By model", "anthropic/claude-sonnet-4-5"], ["By route", "code debugging"]]) {
    await page.keyboard.press("ArrowRight");
    await page.getByRole("tab", { name: kind, selected: true }).waitFor();
    await page.locator(".chart", { hasText: "Saved" }).getByText(name, { exact: true }).waitFor();
    assert.equal(await page.locator(".chart").count(), 4);
    // A chart is drawn when it knows how wide it is.
    await page.locator(".chart").nth(1).locator("path.line").first().waitFor({ state: "attached" });
    const lines = await page.locator(".chart").nth(1).locator("path.line").count();
    assert.ok(lines >= 2 && lines <= 6, `${lines}`);
  }
  await page.keyboard.press("ArrowRight");
  await page.locator(".chart", { hasText: "by the default model" }).getByText("saved", { exact: true }).waitFor();
  await page.getByRole("tab", { name: "24h" }).click();
  await page.locator(".chart svg").first().focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator(".chart time").first().waitFor();
  await close();
});

test("nothing out of data runs: prompts, models, routes, errors", async () => {
  const { id } = await gateway.ask(`How long do I boil an egg? ${HOSTILE} recipes, cooking times and kitchen techniques`);
  const named = await gateway.ask(`${HOSTILE}`, { model: `any/${HOSTILE_MODEL}` });
  await gateway.ask("x", { model: HOSTILE });
  assert.equal(named.status, 200);
  const { page, close } = await visit(browser, `${gateway.page}/#/live/${id}`, { allowed: /status of 40[04]/ });
  const detail = page.getByRole("complementary", { name: "The request" });
  await detail.locator(".route", { hasText: "onerror" }).first().waitFor();
  await detail.locator(".talk").getByText(HOSTILE).first().waitFor();
  await page.goto(`${gateway.page}/#/live/${named.id}`);
  await detail.getByText(HOSTILE_MODEL).first().waitFor();
  await page.goto(`${gateway.page}/#/live/${encodeURIComponent(HOSTILE)}`);
  await page.goto(`${gateway.page}/#/live/%`);
  await detail.getByRole("heading", { name: "Not found" }).waitFor();
  await page.goto(`${gateway.page}/#/playground`);
  await page.getByRole("textbox", { name: "Turn 1" }).fill(`${HOSTILE} <script>window.hacked=3</script>`);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("article").getByText("window.hacked=3").waitFor();
  await page.goto(`${gateway.page}/#/routes`);
  await page.getByRole("button", { name: HOSTILE }).click();
  await page.locator(".editor").getByLabel("Description").fill(`${HOSTILE} kitchens`);
  await page.getByRole("tab", { name: "YAML" }).click();
  await page.locator(".tall pre").getByText("kitchens").waitFor();
  await page.goto(`${gateway.page}/#/overview`);
  await page.locator(".plain .route", { hasText: "onerror" }).first().waitFor();
  assert.equal(await page.locator("img:not(.mark), main svg:not(.chart svg), main script").count(), 0);
  await close();
});

test("a name turns the order of no text beside it, and stays in its place", async () => {
  await gateway.ask("Hello", { model: "any/gpt\u202e-5" });
  const { page, close } = await visit(browser, `${gateway.page}/#/overview`);
  const model = page.locator(".uncounted .model", { hasText: "any/gpt" }).first();
  await model.waitFor();
  // What stands behind it in the line is to the right of it.
  const [end, next] = await model.evaluate((name) => {
    const behind = document.createRange();
    behind.selectNodeContents(name.nextSibling);
    return [name.getBoundingClientRect().right, behind.getBoundingClientRect().left];
  });
  assert.ok(next >= end - 1, `${next} behind ${end}`);

  await page.goto(`${gateway.page}/#/routes`);
  await page.getByRole("button", { name: "legal" }).click();
  await page.locator(".editor").getByLabel("Name").fill("a name that is much longer than the list of routes is wide");
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    const [list, name] = await Promise.all([page.locator(".route-list"), page.locator(".route-list li button", { hasText: "a name" })].map((one) => one.boundingBox()));
    // On a phone the list is a row to scroll.
    assert.ok(name.width < 300 && (width === 390 || name.x + name.width <= list.x + list.width), `${width}: ${JSON.stringify({ list, name })}`);
  }
  await page.getByRole("button", { name: "Start over" }).click();
  await close();
});

test("a correction is taken", async () => {
  const { id } = await gateway.ask("Summarize this contract");
  const { page, close } = await visit(browser, `${gateway.page}/#/live/${id}`);
  const form = page.locator(".correction");
  await form.getByRole("combobox").selectOption({ label: "legal" });
  await form.getByRole("textbox").fill("it is about a contract");
  await form.getByRole("button", { name: "Correct" }).click();
  await page.getByText("Noted: legal").waitFor();
  await close();
  // What `waypost routes learn` works with.
  const { code, said } = await gateway.says("routes", "feedback", "waypost.yaml", "--json");
  assert.equal(code, 0, said);
  const kept = JSON.parse(said).find((one) => JSON.stringify(one).includes(id));
  for (const part of ['"legal"', "it is about a contract"]) assert.ok(JSON.stringify(kept).includes(part), said);
});

test("without content the page says how to keep it", async () => {
  const other = await start({ content: "none" });
  try {
    const { id } = await other.ask(DEBUG);
    const { page, close } = await visit(browser, `${other.page}/#/live/${id}`);
    await page.getByText("The words are not kept.").waitFor();
    await page.goto(`${other.page}/#/routes`);
    // As long as no words of a route change, what was recorded of the decision is enough.
    await page.getByRole("button", { name: "code debugging" }).click();
    await page.locator(".editor").getByLabel("Description").fill("various outages, alerts and failures of servers");
    await page.getByText("recorded without their words").waitFor();
    await close();
  } finally {
    other.stop();
  }
});

test("where a token is required, it is asked for once", async () => {
  const locked = await start({ token: "a-token-of-the-page-tests" });
  try {
    const { page, close } = await visit(browser, locked.page, { allowed: /status of 401/ });
    const field = page.getByLabel("Token");
    await field.fill("another");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await field.fill("a-token-of-the-page-tests");
    await page.keyboard.press("Enter");
    await page.getByText("No request yet").waitFor();
    await locked.ask(DEBUG);
    await rows(page).first().waitFor();
    await page.reload();
    await rows(page).first().waitFor();
    assert.equal(await page.evaluate(() => document.cookie), "", "no script can read it");
    await close();
  } finally {
    locked.stop();
  }
});
