// The admin API: plain JSON, one stream of records, one streamed answer.

export class ApiError extends Error {
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

// A custom header forces a preflight that is never granted, so no other site can post in this browser's name.
const POSTING = { "content-type": "application/json", "x-waypost-page": "1" };

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError(0, "the gateway does not answer", "is `waypost up` still running?");
  }
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => null))?.error ?? {};
  if (answer.status === 401 && path !== "api/login") window.dispatchEvent(new CustomEvent("waypost-login"));
  throw new ApiError(answer.status, said.message ?? `the gateway answered ${answer.status}`, said.hint);
}

const text = (answer) => answer.text().then((body) => (body ? JSON.parse(body) : null));

export function get(path, query = {}, signal) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return ask(`api/${path}${search ? `?${search}` : ""}`, { signal }).then(text);
}

export function post(path, body, signal) {
  return ask(`api/${path}`, { method: "POST", headers: POSTING, body: JSON.stringify(body), signal }).then(text);
}

// Sends a Chat Completions request through the gateway. `heard` gets {head}, {text}, {thought} and {usage} as they come.
export async function send(body, heard, signal) {
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const answer = await ask("api/send", { method: "POST", headers: POSTING, body: JSON.stringify(asked), signal });
  const header = (name) => answer.headers.get(`x-waypost-${name}`) ?? undefined;
  heard({ head: { id: header("request-id"), model: header("model"), route: header("route"), tried: header("tried"), dropped: header("dropped") } });
  for await (const data of events(answer.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(answer.status, chunk.error.message ?? "the answer broke off");
    const delta = chunk.choices?.[0]?.delta ?? {};
    if (delta.reasoning_content) heard({ thought: delta.reasoning_content });
    if (delta.content) heard({ text: delta.content });
    if (chunk.usage) heard({ usage: chunk.usage });
  }
}

// The data of server-sent events, as they come.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const lines = rest.split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) yield line.slice(5).trimStart();
    }
    if (done) return;
  }
}
