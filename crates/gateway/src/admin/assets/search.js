// What the filter of the live view finds: of the records that the page holds at once, of those before them by the API.
import { useEffect, useReducer, useRef } from "./preact.js";
import { get } from "./api.js";
import { feed } from "./feed.js";
import { asked, matcher } from "./filter.js";

// Someone is still typing.
const TYPING_MS = 250;
// One search reads until it has found so many, or so many pages.
const ENOUGH = 150;
const PAGES = 5;

const fresh = (typed) => ({ typed, matches: matcher(typed), found: new Map(), list: [], held: null, before: undefined, ended: typed.trim() === "", busy: false, error: null, back: null });

// What has been found stays found, though the page may let go of it meanwhile.
function take(search, records) {
  const size = search.found.size;
  for (const record of records) if (!search.found.has(record.id) && search.matches(record)) search.found.set(record.id, record);
  if (search.found.size > size) search.list = [...search.found.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

async function read(search, signal) {
  const { query, session, exact } = asked(search.typed);
  // Everything from the newest down to this one is held.
  search.before ??= feed.records().at(-1)?.id;
  const wanted = search.found.size + ENOUGH;
  for (let turn = 0; turn < PAGES && search.found.size < wanted && !search.ended; turn += 1) {
    const ask = (more) => get("records", { ...query, ...more, limit: exact ? 200 : 1000, before: search.before }, signal);
    let page = await ask({ session });
    // The API knows a session by its whole name only.
    if (session && page.records.length === 0) page = await ask({});
    take(search, page.records);
    search.ended = page.next == null;
    search.before = page.next ?? search.before;
    search.back = page.records.at(-1)?.time ?? search.back;
  }
}

// The records that match, newest first. `on` looks further back.
export function useSearch(typed, held) {
  const [, redraw] = useReducer((turn) => turn + 1, 0);
  const now = useRef(null);
  if (now.current?.typed !== typed) now.current = fresh(typed);
  const search = now.current;
  if (typed.trim() !== "" && search.held !== held) {
    search.held = held;
    take(search, held);
  }
  const control = useRef(null);
  const on = async () => {
    if (search.busy || search.ended) return;
    const { signal } = control.current;
    Object.assign(search, { busy: true, error: null });
    redraw();
    try {
      // Nothing is behind what is held.
      if (feed.ended() && search.before === undefined) search.ended = true;
      else await read(search, signal);
    } catch (error) {
      // A gateway that keeps no records has none but those.
      if (error.status === 404) search.ended = true;
      else if (error.name !== "AbortError") search.error = error;
    }
    search.busy = false;
    if (!signal.aborted) redraw();
  };
  useEffect(() => {
    control.current = new AbortController();
    const timer = setTimeout(on, TYPING_MS);
    return () => {
      clearTimeout(timer);
      control.current.abort();
    };
  }, [typed]);
  if (typed.trim() === "") return { records: held, ended: true, on };
  // It has not begun before it is said to be over or something is wrong.
  const waits = !search.ended && search.back === null && !search.error;
  return { records: search.list, ended: search.ended, busy: search.busy || waits, error: search.error, back: search.back, on };
}
