// What a client is told of its own request, as each SDK shows it; unknown to the SDK, and to the official schemas.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { EACH, start } from "./gateway.js";

let gateway, openai, anthropic;
before(async () => {
  gateway = await start();
  const options = { apiKey: "client-key", maxRetries: 0, defaultHeaders: { "x-waypost-metadata": "enabled" } };
  openai = new OpenAI({ baseURL: `${gateway.url}/v1`, ...options });
  anthropic = new Anthropic({ baseURL: gateway.url, ...options });
});
afterEach(() => gateway.judge());
after(() => gateway.stop());

const messages = [{ role: "user", content: "Hello there" }];

function check(told, model) {
  assert.deepEqual([told.model, told.requested, told.method, told.attempts], [model, model, "name", 1]);
  assert.ok(Array.isArray(told.dropped) && told.request_id.length === 36);
  assert.ok(told.default_cost > 0);
}

for (const model of EACH) {
  test(`chat: ${model}`, async () => {
    check((await openai.chat.completions.create({ model, messages })).waypost, model);
    // A provider that no row describes is not asked for usage unless the client does.
    const unasked = model.startsWith("plain/") ? [] : [{}];
    for (const options of [...unasked, { stream_options: { include_usage: true } }]) {
      const told = [];
      const events = openai.chat.completions.stream({ model, messages, ...options });
      events.on("chunk", ({ waypost }) => told.push(waypost));
      assert.match((await events.finalChatCompletion()).choices[0].message.content, /Hello there/);
      check(told.pop(), model);
      assert.ok(told.every((one) => one === undefined));
    }
  });

  test(`responses: ${model}`, async () => {
    const ask = { model, input: "Hello there" };
    check((await openai.responses.create(ask)).waypost, model);
    const answer = await openai.responses.stream(ask).finalResponse();
    assert.match(answer.output_text, /Hello there/);
    check(answer.waypost, model);
  });

  test(`messages: ${model}`, async () => {
    const ask = { model, messages, max_tokens: 100 };
    check((await anthropic.messages.create(ask)).waypost, model);
    const told = [];
    const events = anthropic.messages.stream(ask).on("streamEvent", ({ waypost }) => waypost && told.push(waypost));
    assert.match(await events.finalText(), /Hello there/);
    assert.equal(told.length, 1);
    check(told[0], model);
  });
}
