// The filter of the live view: words, and `key:value` such as `route:code status:error ms>500`.
import { failed } from "./format.js";

const KEYS = {
  id: (record) => record.id,
  model: (record) => `${record.provider ?? ""}/${record.model ?? ""}`,
  route: (record) => record.route ?? "none",
  method: (record) => record.method,
  caller: (record) => record.caller,
  session: (record) => record.session,
  listener: (record) => record.listener,
  dialect: (record) => record.client_dialect,
  requested: (record) => record.requested,
};

const NUMBERS = {
  ms: (record) => record.total_ms,
  cost: (record) => record.cost,
  tokens: (record) => (record.input_tokens ?? 0) + (record.output_tokens ?? 0),
  confidence: (record) => record.confidence,
};

function test(word) {
  const compared = /^(ms|cost|tokens|confidence)([<>])(\d*\.?\d+)$/.exec(word);
  if (compared) {
    const [, key, sign, bound] = compared;
    return (record) => {
      const value = NUMBERS[key](record);
      return value != null && (sign === "<" ? value < Number(bound) : value > Number(bound));
    };
  }
  const named = /^(\w+):(.+)$/.exec(word);
  if (named?.[1] === "status") {
    const wanted = named[2];
    if (wanted === "error") return failed;
    if (wanted === "ok") return (record) => !failed(record);
    return (record) => String(record.status).startsWith(wanted.replace(/x+$/, ""));
  }
  if (named && Object.hasOwn(KEYS, named[1])) {
    return (record) => String(KEYS[named[1]](record) ?? "").toLowerCase().includes(named[2]);
  }
  return (record) => [record.id, KEYS.model(record), record.route, record.requested, record.caller, record.session, record.error, record.status]
    .some((value) => value != null && String(value).toLowerCase().includes(word));
}

// All of the words have to hold. Quotes keep a value with spaces together: `route:"code debugging"`.
const split = (typed) => (typed.match(/[^\s"]*"[^"]*"?|\S+/g) ?? []).map((word) => word.replaceAll('"', "")).filter(Boolean);

export function matcher(typed) {
  const tests = split(typed.toLowerCase()).map(test);
  return (record) => tests.every((holds) => holds(record));
}

// What the API can answer of it: all records that match are among those of `query`. `exact`: they are those, no others.
// `session` is the name of one, perhaps a part of it.
export function asked(typed) {
  const query = {};
  let session;
  let exact = true;
  for (const word of split(typed)) {
    const [, key, value] = /^(\w+):(.+)$/.exec(word) ?? [];
    const low = value?.toLowerCase();
    // Letters beyond ASCII have cases of their own, and what has no route is called `none` here only.
    const named = ["model", "route", "method", "caller"].includes(key) && /^[\x20-\x7e]+$/.test(value) && low !== "/" && !(key === "route" && "none".includes(low));
    const ended = key === "status" && /^(ok|error|[1-5]xx|[1-9]\d\d)$/.test(low);
    if (key === "session") session = value;
    if ((named || ended) && !(key in query)) query[key] = ended ? low : value;
    else exact = false;
  }
  return { query: { ...query, match: "part" }, session, exact };
}
