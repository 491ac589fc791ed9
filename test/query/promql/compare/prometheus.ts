/** A real Prometheus (Debian's package) that accepts remote_write, in a folder of its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canRun } from "../../../real-servers.ts";

export const isInstalled = canRun("prometheus");

export interface Prometheus {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts one; resolves when it is ready. `config` is its configuration file's text. */
export async function startPrometheus(config = "global: {}\n"): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "weir-prometheus-"));
  await writeFile(join(folder, "prometheus.yml"), config);
  const address = `127.0.0.1:${await freePort()}`;
  const process = Bun.spawn(
    [
      "prometheus",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--web.enable-remote-write-receiver",
      "--log.level=warn",
    ],
    { stdout: "ignore", stderr: Bun.file(join(folder, "log")) },
  );
  const url = `http://${address}`;
  while (!(await isReady(url))) {
    if (process.exitCode !== null) throw new Error(await Bun.file(join(folder, "log")).text());
    await Bun.sleep(50);
  }
  return {
    url,
    async stop() {
      process.kill();
      await process.exited;
      await rm(folder, { recursive: true });
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
