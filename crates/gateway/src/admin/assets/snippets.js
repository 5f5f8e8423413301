// A request as something to paste: curl, Python, Node.

// Where applications reach the gateway, as seen from this browser: a base address, and the socket's path where there is
// no other way.
export function reach(overview) {
  const listeners = overview?.listeners ?? [];
  const listener = listeners.find(({ address }) => !address.startsWith("unix:")) ?? listeners[0];
  if (!listener) return { base: "http://127.0.0.1:12000" };
  if (listener.address.startsWith("unix:")) return { base: "http://localhost", socket: listener.address.slice(5) };
  const [, host, port] = /^(.*):(\d+)$/.exec(listener.address) ?? [null, listener.address, ""];
  const reached = /^(0\.0\.0\.0|\[::\])$/.test(host) ? location.hostname : host;
  return { base: `${listener.tls ? "https" : "http"}://${reached}${port ? `:${port}` : ""}` };
}

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curl({ base, socket }, body) {
  return [
    `curl ${socket ? `--unix-socket ${shell(socket)} ` : ""}${base}/v1/chat/completions \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d ${shell(JSON.stringify(body))}`,
  ].join("\n");
}

const block = (messages, indent) => messages
  .map(({ role, content }) => `${indent}{"role": ${JSON.stringify(role)}, "content": ${JSON.stringify(content)}},`)
  .join("\n");

// A JSON string is one of Python and of JavaScript as well.
export function python({ base }, { model, messages }) {
  return `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key="unused")
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[
${block(messages, "        ")}
    ],
)
print(answer.model, answer.choices[0].message.content)
`;
}

export function node({ base }, { model, messages }) {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(`${base}/v1`)}, apiKey: "unused" });
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: [
${block(messages, "    ")}
  ],
});
console.log(answer.model, answer.choices[0].message.content);
`;
}
