/** A search with terms that are costly to compare does not block the event loop: pushes must not wait for it. */
import { expect, test } from "bun:test";
import { openTestGateway } from "../../../gateway.ts";

test.each([
  ["all series", ""],
  ["the series of a selector", "&match[]=many"],
])("a search over %s with long terms lets other work run between the names", async (_, selector) => {
  const gateway = await openTestGateway("--tag-value-bytes-max=2048");
  try {
    // No term occurs, and each is compared with all 512 characters.
    const lines = Array.from(
      { length: 400 },
      (_, index) => `many{text="${"ab".repeat(300)}${index}"} 1 ${gateway.nowMs - 1_000}\n`,
    );
    const pushed = await gateway.fetch("/api/v1/import/prometheus", { method: "POST", body: lines.join("") });
    expect(pushed.ok).toBe(true);
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    const parameters = new URLSearchParams({ label: "text", fuzz_alg: "jarowinkler", fuzz_threshold: "99" });
    for (const end of ["x", "y"]) parameters.append("search[]", `${"ba".repeat(127)}${end}`);
    setImmediate(count);
    const answer = await gateway.fetch(`/api/v1/search/label_values?${parameters}${selector}`);
    isDone = true;
    expect(await answer.text()).toBe('{"results":[]}\n{"status":"success","has_more":false}\n');
    expect(turns).toBeGreaterThan(10);
  } finally {
    await gateway.close();
  }
});
