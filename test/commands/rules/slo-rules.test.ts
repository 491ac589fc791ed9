/** `weir slo rules` with the settings of the documentation: what it prints is a rule file. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const README = join(import.meta.dir, "../../../src/rules/generated/README.md");

test("service levels and expectations are one file, which rules check accepts", async () => {
  const folder = temporaryFolder();
  const blocks = [...readFileSync(README, "utf8").matchAll(/```toml\n(.*?)```/gs)].map(([, text]) => text);
  expect(blocks).toHaveLength(2);
  const settings = join(folder, "weir.toml");
  writeFileSync(settings, blocks.join("\n"));
  const { out, code } = await weir(["slo", "rules", "--config", settings]);
  expect(code).toBe(0);
  const rules = join(folder, "slo.rules.yml");
  writeFileSync(rules, out);
  const checked = await weir(["rules", "check", "--strict", rules]);
  // Two groups of the service level, and one of each expectation.
  expect(checked).toMatchObject({ code: 0, err: "", out: expect.stringMatching(/ rules in 4 groups\n$/) });
});
