/**
 * The servers that the remote_write benchmark compares: this gateway, and, where they are installed, Debian's
 * VictoriaMetrics and Prometheus, each as a process of its own on a folder of its own.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { GatewayProcess } from "../../test/system/process.ts";

export interface Server {
  readonly pid: number;
  /** Where it takes remote_write. */
  readonly url: string;
  /** Ends it by SIGTERM and resolves when it is gone. */
  stop(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Why it cannot take part, if so. */
  readonly absent?: string;
  start(folder: string): Promise<Server>;
}

export function contenders(weirArgs: readonly string[], runtimeArgs: readonly string[]): Contender[] {
  return [
    {
      name: "weir",
      async start(folder) {
        const args = ["--no-sampler", ...weirArgs];
        const gateway = await GatewayProcess.start({ data: join(folder, "data"), args, runtimeArgs });
        return {
          pid: gateway.pid,
          url: `${gateway.url}/api/v1/write`,
          stop: async () => void (await gateway.stop("SIGTERM")),
        };
      },
    },
    program("victoria-metrics", (folder, address) => [
      `-storageDataPath=${join(folder, "data")}`,
      `-httpListenAddr=${address}`,
      "-loggerLevel=ERROR",
    ]),
    program("prometheus", (folder, address) => {
      const config = join(folder, "prometheus.yml");
      writeFileSync(config, "global:\n  scrape_interval: 1h\n");
      return [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=${address}`,
        "--web.enable-remote-write-receiver",
        "--log.level=error",
      ];
    }),
  ];
}

function program(name: string, args: (folder: string, address: string) => string[]): Contender {
  return {
    name,
    absent: Bun.which(name) === null ? "not installed" : undefined,
    async start(folder) {
      mkdirSync(folder, { recursive: true });
      const address = `127.0.0.1:${await freePort()}`;
      const child = Bun.spawn([name, ...args(folder, address)], { stdout: "ignore", stderr: "inherit" });
      const health = `http://${address}/${name === "prometheus" ? "-/ready" : "health"}`;
      while (
        !(await fetch(health).then(
          (response) => response.ok,
          () => false,
        ))
      ) {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        await Bun.sleep(50);
      }
      return {
        pid: child.pid,
        url: `http://${address}/api/v1/write`,
        async stop() {
          child.kill("SIGTERM");
          await child.exited;
        },
      };
    },
  };
}

async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return await promise;
}
