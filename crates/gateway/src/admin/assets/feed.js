// The records that the page holds: what the stream brings, newest first, bounded. Lives as long as the page, so that no
// request is missed while another view is open.
import { get } from "./api.js";

const KEPT = 2000;
// A busy gateway finishes hundreds of requests a second; the page redraws five times.
const EVERY_MS = 200;

let records = [];
let state = "connecting";
let ended = false;
let source = null;
let waiting = [];
let timer = 0;
const ids = new Set();
const listeners = new Set();

const changed = () => listeners.forEach((listener) => listener());

export const feed = { records: () => records, state: () => state, ended: () => ended };

// Calls at every change, and once now: something may have changed since the listener last looked.
export function listen(listener) {
  listeners.add(listener);
  listener();
  return () => listeners.delete(listener);
}

function take(found) {
  const fresh = found.filter((record) => record?.id && !ids.has(record.id));
  if (fresh.length === 0) return;
  fresh.forEach((record) => ids.add(record.id));
  // Ids are UUIDs of version 7: their order is that of time.
  records = [...fresh, ...records].sort((a, b) => (a.id < b.id ? 1 : -1));
  for (const record of records.slice(KEPT)) ids.delete(record.id);
  records = records.slice(0, KEPT);
}

function flush() {
  timer = 0;
  const batch = waiting;
  waiting = [];
  take(batch);
  changed();
}

function turn(next) {
  if (state === next) return;
  state = next;
  changed();
}

async function catchUp() {
  const page = await get("records", { limit: 200 });
  take(page.records);
  if (page.next == null && records.length <= page.records.length) ended = true;
  changed();
}

// Older ones than those held, or nothing more.
export async function older() {
  const page = await get("records", { limit: 200, before: records.at(-1)?.id });
  take(page.records);
  ended = page.next == null || page.records.length === 0;
  changed();
}

export function stop() {
  source?.close();
  source = null;
}

export function start() {
  stop();
  source = new EventSource("api/live");
  source.addEventListener("open", () => {
    turn("live");
    // What happened before, or while the stream was away.
    catchUp().catch(() => {});
  });
  source.addEventListener("record", (event) => {
    // A page that nobody looks at for hours must not grow.
    if (waiting.length >= KEPT) waiting.shift();
    waiting.push(JSON.parse(event.data));
    if (!timer) timer = setTimeout(flush, EVERY_MS);
  });
  source.addEventListener("missed", () => catchUp().catch(() => {}));
  source.addEventListener("error", () => {
    turn("lost");
    // A browser tries again by itself unless the server has refused it.
    if (source?.readyState === EventSource.CLOSED) {
      stop();
      setTimeout(() => {
        if (!source) get("overview").then(start, (error) => error.status !== 401 && start());
      }, 2000);
    }
  });
}
