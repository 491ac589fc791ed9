/** The priority of Workers: below that of the thread that accepts pushes, whatever that is. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { openTestGatewayAt } from "../../../gateway.ts";

/** The priorities of all threads of this process. */
function priorities(): Set<number> {
  const found = new Set<number>();
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
      // The name can contain spaces; the priority is the 17th field after it (proc(5): nice).
      found.add(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]));
    } catch {
      // The thread has ended.
    }
  }
  return found;
}

test.skipIf(process.platform !== "linux")(
  "a Worker has a lower priority than the thread that started it",
  async () => {
    const gateway = await openTestGatewayAt(Date.UTC(2024, 9, 4));
    try {
      const own = getPriority(0);
      const [status] = await gateway.send("GET /api/v1/query?query=1");
      expect(status).toBe(200);
      expect(priorities()).toContain(Math.min(19, own + 5));
      expect(getPriority(0)).toBe(own);
    } finally {
      await gateway.close();
    }
  },
);
