/** `weir slo` of a gateway, and `weir slo rules` with the settings of the documentation. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTestGateway } from "../../gateway.ts";
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

test("a gateway without counts says why: no service level, none counted yet, or a question that fails", async () => {
  const level = (good: string) =>
    `[[slo]]\nname = "api"\nobjective = 99\ngood = ${JSON.stringify(good)}\ntotal = "requests"\n`;
  const settings = join(temporaryFolder(), "weir.toml");
  const cases: readonly (readonly [string, string])[] = [
    ["", "The gateway has no service level. A table [[slo]] in its weir.toml defines one."],
    [
      level("requests"),
      "The service level has no counts yet. Events are counted every five minutes, for the first time up to five " +
        "minutes after a start.",
    ],
    [
      level("SELECT nothing AS value FROM requests WHERE ts > $time - $window"),
      "The rules of the group slo api counts fail: ",
    ],
  ];
  for (const [toml, note] of cases) {
    writeFileSync(settings, toml);
    const gateway = await openTestGateway(`--config=${settings}`);
    try {
      await gateway.gateway.rules.reload();
      if (toml.includes("SELECT")) {
        // Without an event the table is empty, and has any column.
        await gateway.push([{ metric: "requests", kind: "observation", atMs: gateway.nowMs }]);
        await gateway.gateway.rules.evaluate(gateway.nowMs);
      }
      const { urls } = await gateway.listen();
      const { err, code } = await weir(["slo", "--url", urls[0]!]);
      expect({ err, code }).toEqual({ err: expect.stringContaining(`weir summary: ${note}`), code: 0 });
      expect(err.trim().split("\n")).toHaveLength(1);
    } finally {
      gateway.takeLog();
      await gateway.close();
    }
  }
});
