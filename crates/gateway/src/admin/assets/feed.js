// The records that the page holds: what the stream brings, newest first, bounded. Lives as long as the page, so that no
// request is missed while another view is open. Between the newest and the oldest of them none is missing.
import { get } from "./api.js";
import { born } from "./format.js";

const KEPT = 2000;
// With those that were asked for by "Show more".
const MOST = 20_000;
// A busy gateway finishes hundreds of requests a second; the page redraws five times.
const EVERY_MS = 200;
// Records are written together, a moment after the stream has shown them.
export const WRITTEN_MS = 1200;
// Requests that were under way when the stream was lost have older ids than the newest that was held.
const SLOW_MS = 60_000;
// A gateway whose records cannot be read is asked again.
const AGAIN_MS = 5000;

let bound = KEPT;
// Up to this id nothing is missing, while what came behind it is still to be read.
let whole = null;
let reading = 0;
let again = false;
let records = [];
let state = "connecting";
let ended = false;
let source = null;
let waiting = [];
let timer = 0;
const ids = new Set();
const listeners = new Set();

const changed = () => listeners.forEach((listener) => listener());

export const feed = { records: () => records, state: () => state, ended: () => ended, full: () => records.length >= MOST };

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
  if (records.length > bound) keep(bound);
}

// The newest so many of them; those behind can be asked for again.
function keep(many) {
  for (const record of records.slice(many)) ids.delete(record.id);
  records = records.slice(0, many);
  ended = false;
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

async function first() {
  const page = await get("records", { limit: 200 });
  take(page.records);
  if (page.next == null) ended = records.length < bound;
  changed();
}

// An id as old as a request that may have been under way when this one came.
const sooner = (id) => {
  const time = (born(id) - SLOW_MS).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}`;
};

// What happened since then, from the newest back. Where that is more than is held, what is older goes, as everything has
// to be held between the newest and the oldest.
async function catchUp(since) {
  const far = sooner(since);
  let read = 0;
  let page;
  let oldest;
  do {
    page = await get("records", { limit: read === 0 ? 200 : 1000, before: oldest });
    read += page.records.length;
    oldest = page.records.at(-1)?.id ?? oldest;
    take(page.records);
  } while (page.next != null && oldest > far && read < bound);
  if (page.next == null) ended = records.length < bound;
  else if (oldest > since) keep(records.findLastIndex(({ id }) => id >= oldest) + 1);
  changed();
}

// Reads what the stream has not told since then, as soon as it is written.
function fill(since) {
  whole ??= since;
  if (reading) {
    again = true;
    return;
  }
  const read = async () => {
    let next = 0;
    try {
      await (whole ? catchUp(whole) : first());
    } catch (error) {
      // Without records there is nothing to read; without a session, the next stream reads.
      if (error.status === 0 || error.status >= 500) next = AGAIN_MS;
      else if (error.status !== 401) whole = null;
    }
    reading = 0;
    if (again || next > 0) {
      again = false;
      reading = setTimeout(read, next || WRITTEN_MS);
    } else if (source) whole = null;
  };
  reading = setTimeout(read, WRITTEN_MS);
}

// Older ones than those held, or nothing more.
export async function older() {
  const page = await get("records", { limit: 200, before: records.at(-1)?.id });
  bound = Math.min(MOST, Math.max(bound, records.length + page.records.length));
  take(page.records);
  ended = records.length < MOST && (page.next == null || page.records.length === 0);
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
    const since = records[0]?.id ?? null;
    if (since) fill(since);
    else first().catch(() => {}).then(() => fill(null));
  });
  source.addEventListener("record", (event) => {
    // A page that nobody looks at for hours must not grow. What goes is read, as what the stream has missed.
    if (waiting.length >= KEPT) {
      waiting.shift();
      fill(records[0]?.id ?? null);
    }
    waiting.push(JSON.parse(event.data));
    if (!timer) timer = setTimeout(flush, EVERY_MS);
  });
  source.addEventListener("missed", () => fill(records[0]?.id ?? null));
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
