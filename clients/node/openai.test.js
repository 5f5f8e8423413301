// openai-node, unmodified, to every upstream dialect, by name, by alias and by preference.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import OpenAI from "openai";
import { EACH, start } from "./gateway.js";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const ask = (content) => [{ role: "user", content }];

let gateway;
let client;
before(async () => {
  gateway = await start();
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "client-key", maxRetries: 0, timeout: 20_000 });
});
afterEach(() => gateway.judge());
after(() => gateway.stop());

for (const [model, answers] of [
  ["openai/gpt-5.2", "openai/gpt-5.2"],
  ["anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"],
  ["creative-model", "anthropic/claude-sonnet-4-5"],
]) {
  test(`plain: ${model}`, async () => {
    const { data, response } = await client.chat.completions
      .create({ model, messages: ask("Hello there") })
      .withResponse();
    assert.equal(response.headers.get("x-waypost-model"), answers);
    assert.match(data.choices[0].message.content, /Hello there/);
    assert.ok(data.usage.total_tokens > 0);
  });
}

test("by preference", async () => {
  const { response } = await client.chat.completions
    .create({ model: "auto", messages: ask("Write a creative story about space exploration") })
    .withResponse();
  assert.equal(response.headers.get("x-waypost-route"), "creative writing");
  assert.match(response.headers.get("x-waypost-decision"), /^method=preference; scorer=embedded; confidence=0\.\d+; ms=/);
});

for (const model of EACH) {
  test(`stream: ${model}`, async () => {
    const stream = await client.chat.completions.create({ model, messages: ask("Hello there"), stream: true });
    let text = "";
    for await (const chunk of stream) {
      // Nobody has asked for usage, as far as this client can see.
      assert.ok(chunk.choices.length > 0 && !("usage" in chunk), JSON.stringify(chunk));
      text += chunk.choices[0].delta.content ?? "";
    }
    assert.match(text, /Hello there/);
  });

  test(`streamed tools: ${model}`, async () => {
    const runner = client.chat.completions.stream({ model, tools: [WEATHER], messages: ask("Weather [[echo tools=2]]") });
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.tool_calls.length, 2);
    for (const call of message.tool_calls) assert.ok("city" in JSON.parse(call.function.arguments));
  });

  test(`image: ${model}`, async () => {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: PIXEL } },
    ];
    const answer = await client.chat.completions.create({ model, messages: ask(content) });
    assert.match(answer.choices[0].message.content, /1 image/);
  });

  for (const [status, error] of [
    [400, OpenAI.BadRequestError],
    [401, OpenAI.AuthenticationError],
    [403, OpenAI.PermissionDeniedError],
    [404, OpenAI.NotFoundError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
    [500, OpenAI.InternalServerError],
  ]) {
    test(`error ${status}: ${model}`, async () => {
      const request = client.chat.completions.create({ model, messages: ask(`Hi [[echo status=${status}]]`) });
      await assert.rejects(request, (raised) => raised instanceof error && raised.status === status);
    });
  }

  test(`a stream that breaks raises: ${model}`, async () => {
    await assert.rejects(async () => {
      const messages = ask("Hi [[echo cut_after=3]]");
      for await (const _ of await client.chat.completions.create({ model, messages, stream: true }));
    }, OpenAI.APIError);
  });
}

test("unknown model", async () => {
  const request = client.chat.completions.create({ model: "gpt-5.3", messages: ask("Hi") });
  await assert.rejects(request, (raised) => raised instanceof OpenAI.NotFoundError && /gpt-5\.2/.test(raised.message));
});

test("models", async () => {
  const ids = (await client.models.list()).data.map((model) => model.id);
  assert.deepEqual(ids, [
    "openai/gpt-5.2",
    "anthropic/claude-sonnet-4-5",
    "plain/llama-4",
    "native/gpt-5.1",
    "native/gemini-3-pro",
    "amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "creative-model",
    "auto",
  ]);
});
