/** The servers that take the Influx line protocol, and events as lines. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bodies } from "./events.ts";
import { type Contender, program, weir } from "./servers.ts";

const PATH = "/write?db=bench&precision=u";

/** The servers that take lines: this gateway, and Debian's InfluxDB. */
export function lineServers(
  weirArgs: readonly string[],
  runtimeArgs: readonly string[],
  influxOptions: InfluxOptions = {},
): Contender[] {
  const args = (folder: string, address: string) => influxdArgs(folder, address, influxOptions);
  const influxd = program({ name: "influxd", path: PATH, readyPath: "/ping", args });
  return [
    weir(PATH, weirArgs, runtimeArgs),
    {
      ...influxd,
      async start(folder) {
        const server = await influxd.start(folder);
        const created = await fetch(`${new URL(server.url).origin}/query?q=CREATE+DATABASE+bench`, {
          method: "POST",
        });
        if (!created.ok) throw new Error(`influxd created no database: ${await created.text()}`);
        return server;
      },
    },
  ];
}

export interface InfluxOptions {
  /** After which time without a write it writes its log to its files of data. By default it is 10 minutes. */
  readonly coldMs?: number;
}

export function influxdArgs(folder: string, address: string, { coldMs }: InfluxOptions = {}): string[] {
  const config = join(folder, "influxdb.conf");
  const text = `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "${folder}/meta"
[data]
dir = "${folder}/data"
wal-dir = "${folder}/wal"
query-log-enabled = false
${coldMs === undefined ? "" : `cache-snapshot-write-cold-duration = "${coldMs}ms"`}
[monitor]
store-enabled = false
[http]
bind-address = "${address}"
log-enabled = false
[logging]
level = "error"
suppress-logo = true
`;
  writeFileSync(config, text);
  return ["-config", config];
}

/** The events of events.ts as lines. No two have one time: InfluxDB would replace the first. */
export function* eventLines(points: number, batch: number): Generator<string> {
  const fromMs = Date.now();
  const escaped = (text: string) => text.replace(/[,= ]/g, "\\$&");
  let us = fromMs * 1_000 - points;
  for (const body of bodies(points, batch, { fromMs, toMs: fromMs }, 1)) {
    const sent = JSON.parse(new TextDecoder().decode(body)) as {
      metric_name: string;
      value: number;
      tags: Record<string, string>;
    }[];
    const lines = sent.map(({ metric_name, value, tags: { task_id, ...tags } }) => {
      const [, measurement, field] = /^(.*)\.(.*)$/.exec(metric_name)!;
      const head = [measurement, ...Object.entries(tags).map(([name, text]) => `${name}=${escaped(text)}`)];
      return `${head.join(",")} ${field}=${value},task_id="${task_id}" ${us++}`;
    });
    yield lines.join("\n");
  }
}
