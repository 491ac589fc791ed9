/** The examples in JavaScript of src/client/README.md, run by Node, Bun and Deno against a real gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { rowsOf } from "./between.ts";
import { hasRuntime, installWorker, RUNTIMES, type RuntimeName } from "./worker-process.ts";

const DOCUMENT = join(import.meta.dir, "../../src/client/README.md");
const examples = [...readFileSync(DOCUMENT, "utf8").matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
  ([, code]) => code!,
);

let folder: string;
let gateway: GatewayProcess;
beforeAll(async () => {
  folder = installWorker();
  gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

async function run(runtime: RuntimeName, code: string): Promise<string> {
  const file = join(folder, `example-${runtime}.js`);
  writeFileSync(
    file,
    code.replaceAll("http://127.0.0.1:9091", gateway.url).replaceAll("/tmp/weir-spool", temporaryFolder()),
  );
  const child = Bun.spawn([...RUNTIMES[runtime], file], { cwd: folder, stdout: "pipe", stderr: "pipe" });
  const [out, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ code: await child.exited, errors }).toEqual({ code: 0, errors: "" });
  return out;
}

test("there are two", () => expect(examples).toHaveLength(2));

describe.each(["Bun", "Node", "Deno"] as const satisfies RuntimeName[])("in %s", (runtime) => {
  const testHere = test.skipIf(!hasRuntime(runtime));

  testHere("the client stores what the example records", async () => {
    expect(await run(runtime, examples[0]!)).toMatch(/^42 4\n$/);
    expect(
      await rowsOf(
        gateway.url,
        "SELECT DISTINCT value, operation, method, status_code, job, instance FROM http_request_duration_ms WHERE operation = 'get_task' AND job IS NOT NULL",
      ),
    ).toEqual([
      {
        value: 234.56,
        operation: "get_task",
        method: "GET",
        status_code: "200",
        job: "scanner",
        instance: "_1",
      },
    ]);
    expect(await rowsOf(gateway.url, "SELECT DISTINCT value, queue FROM queue_depth")).toEqual([
      { value: 3, queue: "mail" },
    ]);
  });

  testHere("the rules of workers store what the example records", async () => {
    await run(runtime, examples[1]!);
    expect(
      await rowsOf(
        gateway.url,
        "SELECT DISTINCT operation, url, domain, status_code, has_task, success, task_id FROM http_request_duration_ms WHERE job IS NULL ORDER BY operation",
      ),
    ).toEqual([
      {
        operation: "get_task",
        url: "https://app.example.com/api/get-task",
        domain: "app.example.com",
        status_code: "200",
        has_task: "true",
        success: null,
        task_id: "1704067200_abc123",
      },
      {
        operation: "target_request",
        url: `${gateway.url}/-/healthy`,
        domain: "127.0.0.1",
        status_code: "200",
        has_task: null,
        success: "true",
        task_id: "1704067200_abc123",
      },
    ]);
    expect(
      await rowsOf(
        gateway.url,
        "SELECT status, count(*) > 0 AS some FROM jobs_processed_total GROUP BY status ORDER BY status",
      ),
    ).toEqual([
      { status: "completed", some: true },
      { status: "started", some: true },
    ]);
    expect(
      await rowsOf(gateway.url, "SELECT DISTINCT value, service, priority FROM job_output_size_bytes"),
    ).toEqual([{ value: 10, service: "render", priority: "5" }]);
  });
});
