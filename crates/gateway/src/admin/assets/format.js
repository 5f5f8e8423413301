// Figures and names as text. Nothing here touches the page.

const DASH = "–";

export function ms(value) {
  if (value == null) return DASH;
  if (value === 0) return "0";
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(value / 60_000)} min ${Math.round((value % 60_000) / 1000)} s`;
}

export function money(value) {
  if (value == null) return DASH;
  const size = Math.abs(value);
  if (size === 0) return "$0";
  const sign = value < 0 ? "−" : "";
  if (size < 0.00001) return `${sign}<$0.00001`;
  const digits = size >= 100 ? 0 : size >= 0.1 ? 2 : size >= 0.01 ? 3 : size >= 0.001 ? 4 : 5;
  return `${sign}$${size.toFixed(digits)}`;
}

export function count(value) {
  if (value == null) return DASH;
  if (value < 10_000) return Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
  if (value < 1e9) return `${(value / 1e6).toFixed(value < 1e8 ? 1 : 0)}M`;
  return `${(value / 1e9).toFixed(1)}G`;
}

export function bytes(value) {
  if (value == null) return DASH;
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

// Whole percents, but never "0 %" of something or "100 %" of not everything.
export function percent(share) {
  if (share == null) return DASH;
  if (share > 0 && share < 0.01) return "<1 %";
  if (share > 0.99 && share < 1) return ">99 %";
  return `${Math.round(share * 100)} %`;
}

export function points(effect) {
  const size = Math.abs(effect * 100);
  return `${effect < 0 ? "−" : "+"}${size < 10 ? size.toFixed(1) : Math.round(size)}`;
}

const two = (number) => String(number).padStart(2, "0");

export function clock(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return DASH;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function day(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return DASH;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function moment(time) {
  return time ? `${day(time)} ${clock(time)}` : DASH;
}

export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(time).getTime()) / 1000);
  if (Number.isNaN(seconds)) return DASH;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

// The words of the API in plain English.
const WORDS = {
  preference: "by preference", name: "by name", alias: "by alias", default: "by default",
  openai_chat: "Chat Completions", openai_responses: "Responses", anthropic_messages: "Messages",
  gemini: "Gemini", bedrock_converse: "Converse", embedded: "embedded router", arch_router: "Arch-Router",
};

export const words = (name) => WORDS[name] ?? String(name ?? "").replaceAll("_", " ");

// One colour a route, the same everywhere: known routes are spread over the circle, others are hashed.
let known = new Map();

export function nameRoutes(names) {
  known = new Map([...names].sort().map((name, index) => [name, Math.round(index * 137.5 + 265) % 360]));
}

export function hue(name) {
  const found = known.get(name);
  if (found !== undefined) return found;
  let sum = 7;
  for (const letter of String(name)) sum = (sum * 31 + letter.codePointAt(0)) % 3600;
  return sum % 360;
}

// When an id was made: it is a UUID of version 7.
export const born = (id) => parseInt(id.replaceAll("-", "").slice(0, 12), 16);

// A stream that broke off has the status that it began with.
export const failed = (record) => record.status >= 400 || Boolean(record.error);

export function saved(record) {
  return record.cost == null || record.default_cost == null ? null : record.default_cost - record.cost;
}

// `provider/model` as its two halves.
export function split(model) {
  const at = String(model).indexOf("/");
  return at < 0 ? ["", String(model)] : [model.slice(0, at), model.slice(at + 1)];
}
