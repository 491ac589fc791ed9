/** `weir archive`: the days of a gateway, those of its archive, and files that were damaged. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ArchivingGateway } from "../../archive/archiving-gateway.ts";
import { NOON_MS } from "../../gateway.ts";
import { weir } from "../weir.ts";

let gateway: ArchivingGateway;
let url: string;

beforeAll(async () => {
  gateway = await ArchivingGateway.openWith();
  const { urls } = await gateway.listen();
  url = urls[0]!;
  await gateway.store([{ "@timestamp": NOON_MS - 1_000, metric_name: "jobs", type: "counter", value: 2 }]);
});
afterAll(async () => {
  await gateway.close();
});

const archive = (...args: string[]) => weir(["archive", ...args], { env: { WEIR_URL: url } });

test("prints the days of the gateway with their state", async () => {
  expect((await archive()).out).toBe(
    "DAY         STATE  SAMPLES  ARCHIVED  FILES  BYTES  LAST ERROR\n2024-10-04  open   1        0         0      0      -\n",
  );
  await gateway.archiveAll();
  const { code, out } = await archive("--format", "json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    to: gateway.to,
    days: [{ date: "2024-10-04", rows: 1, state: "archived", archived_rows: 1, files: 2, last_error: null }],
  });
});

test("prints the days of an archive, without a gateway, and says which files are damaged", async () => {
  const listed = JSON.parse((await archive("--from", gateway.to, "--format", "json")).out);
  expect(listed).toMatchObject([{ date: "2024-10-04", rows: 1, files: 2, state: "complete", faults: [] }]);
  const verified = await archive("--verify");
  expect({ code: verified.code, out: verified.out }).toEqual({
    code: 0,
    out: `DAY         STATE     SAMPLES  FILES  BYTES  GATEWAY\n2024-10-04  verified  1        2      ${listed[0].bytes}   ${listed[0].gateway}\n`,
  });
  const { metrics, series } = gateway.manifest();
  const part = metrics[0]!.parts[0]!;
  appendFileSync(join(gateway.to, "date=2024-10-04", part.file), "x");
  rmSync(join(gateway.to, "date=2024-10-04", series[0]!.file));
  const damaged = await archive("--from", gateway.to, "--day", "2024-10-04", "--verify");
  expect({ code: damaged.code, err: damaged.err }).toEqual({
    code: 1,
    err:
      `date=2024-10-04/${part.file} has ${part.bytes + 1} bytes, expected ${part.bytes}\n` +
      `date=2024-10-04/${series[0]!.file} is missing\n`,
  });
});

test("says what is wrong with arguments", async () => {
  for (const [args, message] of [
    [["--day", "2026-02-30", "--verify"], '--day is "2026-02-30", expected a date such as 2026-11-25.'],
    [["--day", "2024-10-04"], "--day needs --from or --verify."],
  ] as const) {
    const { code, err } = await archive(...args);
    expect({ code, err }).toEqual({
      code: 2,
      err: `weir archive: ${message}\nRun "weir archive --help" for its usage.\n`,
    });
  }
  expect((await archive("--from", "relative")).err).toBe(
    'weir archive: the archive is "relative", expected an absolute path of a folder or s3://BUCKET/PREFIX\n',
  );
  expect((await archive("--from", "s3://user:secret@x/y")).err).toBe(
    "weir archive: the archive has credentials or parameters, expected s3://BUCKET/PREFIX and credentials in variables\n",
  );
});
