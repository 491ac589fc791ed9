/** Commands that messages suggest: a shell reads each path as it is. */
import { expect, test } from "bun:test";
import { shellWord } from "../../src/model/errors.ts";

test.each([
  ["/var/lib/weir", "/var/lib/weir"],
  ["./data-2_x", "./data-2_x"],
  ["my data", "'my data'"],
  ["it's", "'it'\\''s'"],
  ["$HOME/*", "'$HOME/*'"],
  ["~/x", "'~/x'"],
  ["数据", "'数据'"],
  ["", "''"],
])("writes %j as %s", (text, want) => {
  expect(shellWord(text)).toBe(want);
  expect(Bun.spawnSync(["sh", "-c", `printf %s ${want}`]).stdout.toString()).toBe(text);
});
