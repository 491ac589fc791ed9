/**
 * Debian's InfluxDB 1.6 and the gateway get the same lines, and answer with the same status and the same error. The
 * differences are listed below.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import fc from "fast-check";
import { nameText } from "../../../src/receive/influx/line-scanner.ts";
import { openTestGateway, type TestGateway } from "../../gateway.ts";
import { canRun } from "../../real-servers.ts";
import { runs } from "../../runs.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { decoderOf } from "./decoded-lines.ts";

/** The result of an InfluxQL statement. */
interface Result {
  readonly series: readonly {
    readonly columns: readonly string[];
    readonly values: readonly (readonly (string | number | boolean | null)[])[];
    readonly tags?: Readonly<Record<string, string>>;
  }[];
}

/** The reason of the gateway for each line that InfluxDB answers differently; undefined if it is stored. */
const DIFFERENCES: ReadonlyMap<string, string | undefined> = new Map([
  // InfluxDB 3 and 2 accept these.
  ["m f=1u", undefined],
  ["m f=1\r\nn f=2\r\n", undefined],
  ["m time=1", undefined],
  // A sample is a number.
  ['m s="x"', "the line has only string fields, expected a number or a boolean"],
  ["m\0 f=1", "invalid NUL character"],
  // InfluxDB stores the last of two values. InfluxDB 3 rejects the line.
  ["m f=1,f=2", 'multiple instances of "f" field found'],
  // A better reason for the same line.
  ["m ", "missing fields"],
  ["m f=Inf", "invalid number"],
  ["m f=+1", "invalid number"],
  ["m f=9223372036854775808i", "unable to parse integer 9223372036854775808: value out of range"],
  [`m f=1 ${"9".repeat(20)}`, "time outside range -9223372036854775806 - 9223372036854775806"],
]);

const SAME = [
  "",
  "\n",
  "# comment\n",
  "m f=1",
  "  m f=1",
  "\tm f=1",
  "m  f=1  ",
  "m,t=1 f=1",
  "m,b=1,a=2 f=1",
  "m,t=a\\,b\\ c\\=d f=1",
  "a\\,b\\ c,t\\=x=1 f\\ g=1",
  "a=b f=1",
  "m,t=C:\\temp f=1",
  "m,t=é f=1",
  "m f=-1.5",
  "m f=.5",
  "m f=1.",
  "m f=1e3",
  "m f=007",
  "m f=1i",
  "m f=-9223372036854775808i",
  "m b=t,c=T,d=true,e=True,g=TRUE",
  "m b=f,c=F,d=false,e=False,g=FALSE",
  'm f=1,s="line1\nline2"',
  'm f=1,s="say \\"hi\\""',
  "m",
  "m f",
  "m f=",
  "m =1",
  ",t=1 f=1",
  "m,t f=1",
  "m,t= f=1",
  "m,=1 f=1",
  "m, f=1",
  "m,t=1,t=2 f=1",
  "m,t=a=b f=1",
  "m,t=1,u f=1",
  "m f=abc",
  "m f=NaN",
  "m f=-Inf",
  "m f=1e",
  "m f=1e400",
  "m f=-",
  "m f=--1",
  "m f=1.2.3",
  "m f=0x10",
  "m f=1.5i",
  "m f=i",
  "m f=-1u",
  "m f=tRUE",
  'm f="x',
  'm f=x"',
  'm f="a"b"',
  "m f=1,",
  "m ,f=1",
  "m f=1,,g=2",
  "m f=1, g=2",
  "m f=1 abc",
  "m f=1 1.5",
  'm f="a" 1 2',
  "m,a\\=f=1",
  "m,a=b\\ f=1",
];

describe.if(canRun("influxd"))("InfluxDB 1.6", () => {
  const folder = temporaryFolder();
  let influxd: Bun.Subprocess;
  let url: string;
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await openTestGateway();
    const address = `127.0.0.1:${await freePort()}`;
    await Bun.write(
      `${folder}/influxdb.conf`,
      `reporting-disabled = true\nbind-address = "127.0.0.1:0"\n[meta]\ndir = "${folder}/meta"\n` +
        `[data]\ndir = "${folder}/data"\nwal-dir = "${folder}/wal"\n[monitor]\nstore-enabled = false\n` +
        `[http]\nbind-address = "${address}"\nlog-enabled = false\n`,
    );
    influxd = Bun.spawn(["influxd", "-config", `${folder}/influxdb.conf`], {
      stdout: "ignore",
      stderr: "ignore",
    });
    url = `http://${address}`;
    const create = () => fetch(`${url}/query?q=CREATE+DATABASE+d`, { method: "POST" });
    await until("influxd to create a database", async () => influxd.exitCode !== null || (await create()).ok);
  });
  afterAll(async () => {
    influxd?.kill();
    await influxd?.exited;
    gateway?.takeLog();
    await gateway?.close();
  });

  const answer = async (response: Response): Promise<[number, unknown]> => {
    const text = await response.text();
    return [response.status, text === "" ? "" : (JSON.parse(text) as { error: string }).error];
  };
  const theirs = async (body: string) => answer(await fetch(`${url}/write?db=d`, { method: "POST", body }));
  const ours = async (body: string) => answer(await gateway.fetch("/write?db=d", { method: "POST", body }));
  let measurements = 0;
  /** The line with a measurement of its own, because both servers remember the types of fields. */
  const own = (line: string) => line.replace(/^(\s*)m/, `$1m${++measurements}`);

  for (const line of SAME) {
    test(`answers ${JSON.stringify(line)} as the gateway does`, async () => {
      const sent = own(line);
      expect(await ours(sent)).toEqual(await theirs(sent));
    });
  }

  test("stores the same names, tags and values, however they are escaped", async () => {
    const choices = {
      measurement: ["m", "m\\ n", "m\\,n", "m=n", "m\\=n", "é", "m\\\\x"],
      name: ["a", "b\\ c", "d\\,e", "f\\=g", "h\\i", "é", "j\\\\", '"k"', "\\\\n"],
      tag: ["v", "w\\ x", "y\\,z", "\\\\z", 'q"r', "é", "a\\=b", "c\\d", "\\\\\\,e"],
      value: [
        "1",
        "-1.5",
        "2i",
        "t",
        "false",
        "1e5",
        ".5",
        '"s"',
        '"a b,c=d"',
        '"c\\"d"',
        '"e\\\\"',
        '"x\ny"',
      ],
    };
    const line = fc.record({
      measurement: fc.constantFrom(...choices.measurement),
      tags: fc.array(fc.tuple(fc.constantFrom(...choices.name), fc.constantFrom(...choices.tag)), {
        maxLength: 2,
      }),
      fields: fc.array(fc.tuple(fc.constantFrom(...choices.name), fc.constantFrom(...choices.value)), {
        maxLength: 3,
      }),
    });
    const lines = fc.sample(line, runs(60));
    for (const [index, { measurement, tags, fields }] of lines.entries()) {
      const own = `${measurement}-${index}`;
      const parts = [own, ...tags.map(([name, value], place) => `${name}t${place}=${value}`)];
      const numbered = fields.map(([name, value], place) => `${name}f${place}=${value}`);
      const sent = `${parts.join(",")} ${["n=1", ...numbered].join(",")}`;
      expect([sent, await theirs(sent)]).toEqual([sent, [204, ""]]);
      const bytes = Buffer.from(own);
      const name = nameText(bytes, 0, bytes.length);
      const q = encodeURIComponent(`SELECT * FROM "${name.replace(/["\\]/g, "\\$&")}" GROUP BY *`);
      const { results } = (await (await fetch(`${url}/query?db=d&q=${q}`)).json()) as { results: Result[] };
      const { columns, values, tags: stored = {} } = results[0]!.series[0]!;
      const theirFields = columns
        .map((column, place) => [`${name}_${column}`, values[0]![place]!] as const)
        .filter(([, value]) => typeof value !== "string")
        .map(([metric, value]) => [metric, Number(value)]);
      const { batch } = decoderOf().decode(Buffer.from(sent), "ns");
      const ourFields = Array.from(batch.head.subarray(0, batch.length), (head, row) => [
        batch.heads[head]!.metric,
        batch.value[row],
      ]);
      expect({
        sent,
        fields: new Map(ourFields as [string, number][]),
        tags: batch.heads[0]!.labels,
      }).toEqual({
        sent,
        fields: new Map(theirFields as [string, number][]),
        tags: new Map(Object.entries(stored)),
      });
    }
  });

  for (const [line, reason] of DIFFERENCES) {
    test(`differs for ${JSON.stringify(line)}`, async () => {
      const sent = own(line);
      const got = await ours(sent);
      expect(got).toEqual(reason === undefined ? [204, ""] : [400, `unable to parse '${sent}': ${reason}`]);
      expect(await theirs(sent)).not.toEqual(got);
    });
  }
});

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return await promise;
}
