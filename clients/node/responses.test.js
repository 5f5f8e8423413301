// openai-node's `responses`, unmodified, to every upstream dialect.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import OpenAI from "openai";
import { EACH, start } from "./gateway.js";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WEATHER = {
  type: "function",
  name: "get_weather",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};
const SHAPE = {
  type: "json_schema",
  name: "city",
  strict: true,
  schema: WEATHER.parameters,
};
const THINKING = {
  reasoning: { effort: "low", summary: "auto" },
  include: ["reasoning.encrypted_content"],
  store: false,
};
const ask = (content) => ({ role: "user", content });

let gateway;
let client;
before(async () => {
  gateway = await start();
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "client-key", maxRetries: 0, timeout: 20_000 });
});
afterEach(() => gateway.judge());
after(() => gateway.stop());

// The answer of a request, or the last one of its stream through the SDK's helper.
const finish = (stream, options) =>
  stream ? client.responses.stream(options).finalResponse() : client.responses.create(options);

for (const model of EACH) {
  for (const stream of [false, true]) {
    const how = `${model}${stream ? ", streamed" : ""}`;

    test(`text: ${how}`, async () => {
      const answer = await finish(stream, { model, input: "Hello there", instructions: "Be brief" });
      assert.match(answer.output_text, /Hello there \(system prompt: Be brief\)/);
      assert.equal(answer.status, "completed");
      assert.ok(answer.usage.total_tokens > 0);
    });

    for (const byId of [false, true]) {
      test(`a loop of tools${byId ? " by id" : ""}: ${how}`, async () => {
        const conversation = [ask("Weather, please [[echo tools=2]]")];
        const first = await finish(stream, { model, input: conversation, tools: [WEATHER] });
        const calls = first.output.filter((item) => item.type === "function_call");
        assert.equal(calls.length, 2);
        for (const call of calls) assert.ok("city" in JSON.parse(call.arguments));
        const results = calls.map((call, number) => ({
          type: "function_call_output",
          call_id: call.call_id,
          output: `sunny ${number}`,
        }));
        // The SDK adds what it parsed to the calls, which the API does not take.
        const said = first.output.map(({ parsed_arguments, ...item }) => item);
        const answer = await finish(stream, {
          model,
          tools: [WEATHER],
          ...(byId
            ? { previous_response_id: first.id, input: results }
            : { input: [...conversation, ...said, ...results] }),
        });
        assert.match(answer.output_text, /sunny 0, sunny 1/);
      });
    }

    test(`thinking goes round: ${how}`, async () => {
      const first = await finish(stream, { model, input: "First [[echo thinking]]", ...THINKING });
      // One dialect gives a signature of its own besides the thinking that is shown.
      const kinds = new Set(first.output.map((item) => item.type));
      assert.deepEqual([...kinds], ["reasoning", "message"]);
      assert.match(first.output[0].summary[0].text, /echo of 5 characters/);
      const said = first.output.map((item) =>
        item.type === "message" ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item,
      );
      const answer = await finish(stream, { model, input: [ask("First"), ...said, ask("Second")], ...THINKING });
      assert.match(answer.output_text, /Second/);
    });
  }

  test(`the events of a stream: ${model}`, async () => {
    const seen = [];
    for await (const event of await client.responses.create({ model, input: "Hello there", stream: true }))
      seen.push(event);
    assert.deepEqual(seen.map((event) => event.sequence_number), [...seen.keys()]);
    const text = seen.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    assert.match(text.join(""), /Hello there/);
    assert.equal(seen[0].type, "response.created");
    assert.equal(seen.at(-1).type, "response.completed");
  });

  test(`structured output: ${model}`, async () => {
    const answer = await client.responses.parse({ model, input: "A city", text: { format: SHAPE } });
    assert.deepEqual(Object.keys(answer.output_parsed), ["city"]);
  });

  test(`image: ${model}`, async () => {
    const content = [
      { type: "input_text", text: "What is this?" },
      { type: "input_image", image_url: PIXEL, detail: "auto" },
    ];
    assert.match((await client.responses.create({ model, input: [ask(content)] })).output_text, /1 image/);
  });

  test(`turns by id: ${model}`, async () => {
    let previous_response_id;
    for (const turn of ["One", "Two", "Three"]) {
      const answer = await client.responses.create({ model, input: turn, previous_response_id });
      assert.match(answer.output_text, new RegExp(turn));
      previous_response_id = answer.id;
    }
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
      for (const stream of [false, true]) {
        const request = client.responses.create({ model, input: `Hi [[echo status=${status}]]`, stream });
        await assert.rejects(request, (raised) => raised instanceof error && raised.status === status);
      }
    });
  }

  test(`an answer that nobody knows: ${model}`, async () => {
    const request = client.responses.create({ model, input: "Hi", previous_response_id: "resp_nobody" });
    await assert.rejects(
      request,
      (raised) => raised instanceof OpenAI.BadRequestError && raised.code === "previous_response_not_found",
    );
  });

  test(`a stream that breaks raises: ${model}`, async () => {
    await assert.rejects(async () => {
      for await (const _ of await client.responses.create({ model, input: "Hi [[echo cut_after=3]]", stream: true }));
    }, OpenAI.APIError);
    await assert.rejects(finish(true, { model, input: "Hi [[echo cut_after=3]]" }));
  });

  test(`a client that leaves: ${model}`, async () => {
    const stream = await client.responses.create({ model, input: "Hi [[echo chunk_delay=50]]", stream: true });
    for await (const _ of stream) break;
    const aborted = new AbortController();
    const request = client.responses.create({ model, input: "Hi [[echo hang]]" }, { signal: aborted.signal });
    setTimeout(() => aborted.abort(), 100);
    await assert.rejects(request, OpenAI.APIUserAbortError);
    assert.match((await client.responses.create({ model, input: "still there?" })).output_text, /still there/);
  });
}

for (const model of EACH) {
  test(`a kept answer: ${model}`, async () => {
    const answer = await client.responses.create({ model, input: "Hello there" });
    assert.equal((await client.responses.retrieve(answer.id)).output_text, answer.output_text);
    const items = [];
    for await (const item of client.responses.inputItems.list(answer.id)) items.push(item.content[0].text);
    assert.deepEqual(items, ["Hello there"]);
    await client.responses.delete(answer.id);
    await assert.rejects(client.responses.retrieve(answer.id), OpenAI.NotFoundError);
  });
}
