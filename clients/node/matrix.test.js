// The same conversations through every SDK to every upstream dialect, by name, by alias and by `auto`.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { EACH, EVERY_WAY, start } from "./gateway.js";
import { ALL, PIXEL } from "./sdks.js";

let gateway;
before(async () => {
  gateway = await start();
});
afterEach(() => gateway.judge());
after(() => gateway.stop());

const CASES = {
  async "a tool loop"(sdk, model, stream) {
    sdk.user("Weather in two cities, please [[echo tools=2]]");
    const { calls } = await sdk.turn(model, stream, { tools: true });
    assert.deepEqual(calls.map(({ name }) => name), ["get_weather", "get_weather"]);
    for (const { input } of calls) assert.deepEqual(Object.keys(input).sort(), ["city", "days"]);
    sdk.results(calls, ["sunny", "rain"]);
    const turn = await sdk.turn(model, stream, { tools: true });
    assert.equal(turn.calls.length, 0);
    assert.match(turn.text, /sunny, rain/);
    sdk.user("Thanks");
    assert.match((await sdk.turn(model, stream, { tools: true })).text, /Thanks/);
  },

  async "thinking with tools"(sdk, model, stream) {
    sdk.user("Weather, please [[echo thinking tools=1]]");
    const { calls, thinking } = await sdk.turn(model, stream, { tools: true, thinking: true });
    assert.match(thinking, /echo of 15 characters/);
    assert.equal(calls.length, 1);
    sdk.results(calls, ["sunny"]);
    assert.match((await sdk.turn(model, stream, { tools: true, thinking: true })).text, /sunny/);
  },

  async "structured output"(sdk, model, stream) {
    sdk.user("The forecast, please");
    const { text } = await sdk.turn(model, stream, { shape: true });
    assert.deepEqual(Object.keys(JSON.parse(text)).sort(), ["city", "days"]);
  },

  async "an image"(sdk, model, stream) {
    sdk.user("What is this?", true);
    assert.match((await sdk.turn(model, stream)).text, /1 image/);
    assert.ok(JSON.stringify(await gateway.reached()).includes(PIXEL));
  },

  async "a long conversation"(sdk, model, stream) {
    for (let number = 0; number < 12; number += 1) {
      const calls = number % 3 === 0;
      sdk.user(`Question ${number}${calls ? " [[echo tools=1]]" : ""}`);
      let turn = await sdk.turn(model, stream, { tools: true });
      if (calls) {
        sdk.results(turn.calls, [`result ${number}`]);
        turn = await sdk.turn(model, stream, { tools: true });
        assert.match(turn.text, new RegExp(`result ${number}\\b`));
      }
      assert.match(turn.text, new RegExp(`Question ${number}\\b`));
    }
    const body = JSON.stringify(await gateway.reached());
    for (let number = 0; number < 12; number += 1) assert.ok(body.includes(`Question ${number}`));
  },
};

for (const Sdk of ALL) {
  for (const stream of [false, true]) {
    const how = `${Sdk.label}${stream ? ", streamed" : ""}`;
    for (const [name, hold] of Object.entries(CASES))
      for (const model of EVERY_WAY) test(`${name}: ${how}: ${model}`, () => hold(new Sdk(gateway.url), model, stream));

    for (const model of EACH)
      test(`errors are its own: ${how}: ${model}`, async () => {
        for (const [status, kind] of Object.entries(new Sdk(gateway.url).errors)) {
          const sdk = new Sdk(gateway.url);
          sdk.user(`Hi [[echo status=${status}]]`);
          await assert.rejects(
            sdk.turn(model, stream),
            (raised) => raised instanceof kind && raised.status === Number(status),
          );
        }
      });
  }

  for (const model of EACH)
    for (const fault of ["cut_after=3", "cut_after=7", "error_after=3", "error_after=7", "half"])
      test(`a stream that breaks raises (${fault}): ${Sdk.label}: ${model}`, async () => {
        const sdk = new Sdk(gateway.url);
        sdk.user(`Hello out there [[echo ${fault}]]`);
        await assert.rejects(sdk.turn(model, true), (raised) => raised instanceof sdk.error);
      });
}
