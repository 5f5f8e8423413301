// `waypost routes lint --sarif` against the OASIS schema of SARIF 2.1.0, as it comes with Microsoft's matchers for SARIF.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Ajv from "ajv";

const require = createRequire(import.meta.url);
const fixtures = new URL("../../crates/gateway/tests/fixtures/routes/", import.meta.url).pathname;
const binary = process.env.WAYPOST_BIN ?? new URL("../../target/debug/waypost", import.meta.url).pathname;

// The schema is of draft 4, where `$id` was `id`. `fullFormats` reads addresses by their whole grammar.
const ajv = new Ajv({ schemaId: "id", allErrors: true, format: "full" });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
const validate = ajv.compile(require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"));

function lint(config) {
  const done = spawnSync(binary, ["routes", "lint", config, "--sarif"], { encoding: "utf8" });
  assert.equal(done.error, undefined);
  return JSON.parse(done.stdout);
}

function assertValid(log) {
  assert.ok(validate(log), JSON.stringify(validate.errors, null, 1));
}

test("findings of every rule are valid SARIF", () => {
  const log = lint(join(fixtures, "every-rule.yaml"));
  assertValid(log);
  const [run] = log.runs;
  const found = new Set(run.results.map((result) => result.ruleId));
  assert.ok(found.size > 5 && run.results.some((result) => result.relatedLocations), [...found].join());
  for (const result of run.results) assert.equal(run.tool.driver.rules[result.ruleIndex].id, result.ruleId);
});

test("so is a file without errors, under a name that has to be escaped", () => {
  const copy = join(mkdtempSync(join(tmpdir(), "waypost sarif ")), "routes of 100% ünïcode [draft]#1.yaml");
  copyFileSync(join(fixtures, "household.yaml"), copy);
  assertValid(lint(copy));
});

test("the validator refuses what is not SARIF", () => {
  const log = lint(join(fixtures, "every-rule.yaml"));
  log.runs[0].results[0].level = "fatal";
  log.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri = "not a reference";
  assert.ok(!validate(log));
  const paths = validate.errors.map((error) => error.dataPath).join();
  assert.match(paths, /level.*uri|uri.*level/);
});
