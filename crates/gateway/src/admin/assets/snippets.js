// A request as something to paste: curl, Python, Node.

// The address at which applications reach the gateway, as seen from this browser.
export function address(overview) {
  const bound = overview?.listeners?.find(({ address: at }) => at && !at.startsWith("unix:"))?.address ?? "127.0.0.1:12000";
  const [, host, port] = /^(?:https?:\/\/)?(.*?):(\d+)\/?$/.exec(bound) ?? [null, bound, ""];
  const scheme = bound.startsWith("https://") ? "https" : "http";
  const reached = /^(0\.0\.0\.0|\[::\]|::)$/.test(host) ? location.hostname : host;
  return `${scheme}://${reached}${port ? `:${port}` : ""}`;
}

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curl(base, body) {
  return [
    `curl ${base}/v1/chat/completions \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d ${shell(JSON.stringify(body))}`,
  ].join("\n");
}

const block = (messages, indent) => messages
  .map(({ role, content }) => `${indent}{"role": ${JSON.stringify(role)}, "content": ${JSON.stringify(content)}},`)
  .join("\n");

// A JSON string is one of Python and of JavaScript as well.
export function python(base, { model, messages }) {
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

export function node(base, { model, messages }) {
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
