/** Rules read the store alone, also if an upstream is set. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { NOON_MS } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { gatewayWith } from "./upstream-gateway.ts";

test("a rule and its template that read back before what is stored do not fail", async () => {
  const rules = join(temporaryFolder(), "rules.yml");
  writeFileSync(
    rules,
    `groups:
  - name: g
    rules:
      - alert: Deep
        expr: sum_over_time(depth[6d]) > 0
        annotations: {count: '{{ with query "count_over_time(depth[6d])" }}{{ . | first | value }}{{ end }}'}
`,
  );
  // Nothing listens there.
  const upstream = '[upstream]\nurl = "http://127.0.0.1:9"\n';
  const gateway = await gatewayWith(NOON_MS, upstream, `--rules=${rules}`);
  try {
    await gateway.push([{ metric: "depth", atMs: NOON_MS, value: 3 }]);
    await gateway.gateway.rules.reload();
    await gateway.gateway.rules.evaluate(NOON_MS);
    const { data } = (await (await gateway.fetch("/api/v1/alerts")).json()) as {
      data: { alerts: { annotations: unknown; value: string }[] };
    };
    expect(data.alerts.map(({ annotations, value }) => [annotations, value])).toEqual([
      [{ count: "1" }, "3e+00"],
    ]);
  } finally {
    // Throws if a rule has failed: that is logged.
    await gateway.close();
  }
});
