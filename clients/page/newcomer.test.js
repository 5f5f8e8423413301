import assert from "node:assert/strict";
import test from "node:test";
import { newcomer } from "./newcomer.js";

test("a newcomer sees requests routed, and a question of one's own answered", async (context) => {
  const binary = process.env.WAYPOST_BIN ?? new URL("../../target/debug/waypost", import.meta.url).pathname;
  const steps = await newcomer({ binary });
  for (const [step, seconds] of Object.entries(steps)) context.diagnostic(`${seconds} s: ${step}`);
  assert.equal(Object.keys(steps).length, 4);
});
