/**
 * The servers that the remote_write benchmark compares: this gateway, and, where they are installed, Debian's
 * VictoriaMetrics and Prometheus.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Earlier, earlierWeir } from "./earlier.ts";
import type { Version } from "./remote-write-requests.ts";
import { program, type Contender as Started, weir } from "./servers.ts";

export type { Server } from "./servers.ts";

/** A server, and the version of remote_write that it gets. */
export interface Contender extends Started {
  readonly version: Version;
}

const path = "/api/v1/write";

/** The contenders; their servers' `url` is where they take remote_write. */
export function contenders(
  weirArgs: readonly string[],
  runtimeArgs: readonly string[],
  options: OtherOptions = {},
): Contender[] {
  const gateway = weir(path, weirArgs, runtimeArgs);
  return [
    { ...gateway, version: "1.0" },
    { ...gateway, name: "weir-v2", version: "2.0" },
    ...(options.earlier === undefined
      ? []
      : [{ ...earlierWeir(options.earlier, path, weirArgs, runtimeArgs), version: "1.0" as const }]),
    ...others(options).map((other) => ({ ...other, version: "1.0" as const })),
  ];
}

export interface OtherOptions {
  /** Whether Prometheus makes snapshots of its data when it is asked to. */
  readonly snapshots?: boolean;
  /** An earlier commit of the gateway takes part, too. */
  readonly earlier?: Earlier;
}

/** The servers of Debian do not take version 2.0. */
function others({ snapshots }: OtherOptions): Started[] {
  return [
    program({
      name: "victoria-metrics",
      path,
      readyPath: "/health",
      args: (folder, address) => [
        `-storageDataPath=${join(folder, "data")}`,
        `-httpListenAddr=${address}`,
        "-loggerLevel=ERROR",
      ],
    }),
    program({
      name: "prometheus",
      path,
      readyPath: "/-/ready",
      args(folder, address) {
        const config = join(folder, "prometheus.yml");
        writeFileSync(config, "global:\n  scrape_interval: 1h\n");
        return [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(folder, "data")}`,
          `--web.listen-address=${address}`,
          "--web.enable-remote-write-receiver",
          "--log.level=error",
          ...(snapshots ? ["--web.enable-admin-api"] : []),
        ];
      },
    }),
  ];
}
