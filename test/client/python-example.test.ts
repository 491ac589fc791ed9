/** The first example of src/client/python/README.md, run by Python against a real gateway. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { rowsOf } from "./between.ts";

const CLIENT = join(import.meta.dir, "../../src/client/python");

test.skipIf(Bun.which("python3") === null)("the gateway stores what the example records", async () => {
  const folder = temporaryFolder();
  const gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
  const [, example = ""] = /```python\n([\s\S]*?)```/.exec(readFileSync(join(CLIENT, "README.md"), "utf8"))!;
  const file = join(folder, "example.py");
  const code = example
    .replace("http://127.0.0.1:9091", gateway.url)
    .replace("/var/spool/weir", join(folder, "spool"));
  writeFileSync(file, `${code}\nresize("image")\n`);
  const child = Bun.spawn(["python3", file], {
    env: { ...process.env, PYTHONPATH: CLIENT, PYTHONDONTWRITEBYTECODE: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  // The end of the interpreter waits until the gateway has stored the batch.
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ code: await child.exited, out, err }).toEqual({ code: 0, out: "", err: "" });
  const ask = (sql: string) => rowsOf(gateway.url, sql);
  expect(await ask("SELECT job, instance, format, value FROM resize_ms WHERE format IS NOT NULL")).toEqual([
    { job: "scanner", instance: "_1", format: "png", value: 12.5 },
  ]);
  expect(await ask("SELECT count(*) AS calls FROM resize_ms WHERE format IS NULL")).toEqual([{ calls: 1 }]);
  expect(await ask("SELECT value FROM jobs_total")).toEqual([{ value: 1 }]);
  expect(await ask("SELECT value FROM queue_length")).toEqual([{ value: 17 }]);
  expect(await ask('SELECT "table" FROM query_seconds')).toEqual([{ table: "users" }]);
  expect(await gateway.stop("SIGTERM")).toBe(0);
});
