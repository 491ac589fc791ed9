/**
 * The servers that the remote_write benchmark compares: this gateway, and, where they are installed, Debian's
 * VictoriaMetrics and Prometheus.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Contender, program, weir } from "./servers.ts";

export type { Contender, Server } from "./servers.ts";

const path = "/api/v1/write";

/** The contenders; their servers' `url` is where they take remote_write. */
export function contenders(weirArgs: readonly string[], runtimeArgs: readonly string[]): Contender[] {
  return [
    weir(path, weirArgs, runtimeArgs),
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
        ];
      },
    }),
  ];
}
