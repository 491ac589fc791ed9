/** The manual page: it has every command and setting, and troff draws it without a warning. */
import { expect, test } from "bun:test";
import { COMMANDS } from "../../../src/commands/all-commands.ts";
import { manualPage } from "../../../src/commands/help/man-page.ts";
import { describeSettings } from "../../../src/config/config.ts";
import { weir } from "../weir.ts";

test("has every command and every setting", async () => {
  const { code, out, err } = await weir(["man"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const name of Object.keys(COMMANDS)) expect(out).toContain(`.SH "WEIR ${name.toUpperCase()}"\n`);
  for (const { flag, variable } of describeSettings())
    expect(out).toContain(`.BR ${flag.replaceAll("-", "\\-")} " (${variable}, `);
});

test("does not draw characters of examples as others", () => {
  const command = {
    name: "thing",
    summary: "does it",
    usage:
      "Usage: weir thing\n\n.dots begin a paragraph, and 'quotes' …\n\n  a-b ~x ^y `z` \\n\n\n  --flag VALUE  text",
    run: () => Promise.resolve(0),
  };
  const page = manualPage([command], { version: "1.2.3", date: "2026-11-27" });
  expect(page).toStartWith('.TH WEIR 1 "2026\\-11\\-27" "weir 1.2.3" "User Commands"\n');
  expect(page).toContain(".PP\n\\&.dots begin a paragraph, and \\(aqquotes\\(aq \\[u2026]\n");
  expect(page).toContain("\na\\-b \\(tix \\(hay \\(gaz\\(ga \\en\n");
  expect(page).toContain(".TP\n.B \\-\\-flag VALUE\ntext\n");
});

test.skipIf(Bun.which("groff") === null)("is drawn without a warning", async () => {
  const { out } = await weir(["man"]);
  const groff = Bun.spawnSync(["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], { stdin: new Blob([out]) });
  expect({ code: groff.exitCode, err: groff.stderr.toString() }).toEqual({ code: 0, err: "" });
  const text = groff.stdout.toString();
  expect(text).toContain("--retention-days (WEIR_RETENTION_DAYS, retentionDays)");
  expect(text).toContain(
    'weir sql "SELECT operation, avg(value) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL"',
  );
});
