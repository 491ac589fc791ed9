/** Real servers of other projects, on ports that they choose: whether this machine has them, and how a test starts them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

/**
 * A server written in Go reads the kernel's clock and cannot be given another time: under `scripts/test --clock` its
 * samples would be years away from the gateway's.
 */
const hasRealClock = process.env.FAKETIME === undefined;

/** True when every program is on PATH and agrees on the time with this process. */
export function canRun(...programs: readonly string[]): boolean {
  return hasRealClock && programs.every((program) => Bun.which(program) !== null);
}

export interface RealServer {
  readonly url: string;
  /** What it has logged so far. */
  log(): string;
  /** Ends it, with SIGKILL unless another signal is given. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
}

/**
 * Starts a server that logs the address that it listens on. Resolves when its log matches `ready`. Throws with the log if
 * it exits before.
 *
 * @param known its address, if it does not log it
 */
export async function startServer(
  command: readonly string[],
  ready: RegExp,
  known?: string,
): Promise<RealServer> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  let log = "";
  // A server may log its address after it logs that it is ready: its threads write in any order.
  const addressIn = (text: string) => known ?? /"?Listening on"? address=(\S+)\s/.exec(text)?.[1];
  const isReady = Promise.withResolvers<string | undefined>();
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) {
      log += decoder.decode(bytes, { stream: true });
      const address = addressIn(log);
      if (address !== undefined && ready.test(log)) isReady.resolve(address);
    }
    isReady.resolve(undefined);
  };
  void read();
  const address = await isReady.promise;
  if (address === undefined) {
    child.kill("SIGKILL");
    throw new Error(`${command[0]} did not start:\n${log}`);
  }
  return {
    url: `http://${address}`,
    log: () => log,
    async stop(signal = "SIGKILL") {
      child.kill(signal);
      await child.exited;
    },
  };
}

/**
 * Starts a Prometheus (Debian's package) that accepts remote_write, with a folder of its own.
 *
 * @param config the text of its configuration file, or a function that gets the Prometheus's own address
 */
export async function startPrometheus(
  config: string | ((address: string) => string) = "global: {}\n",
  ...flags: readonly string[]
): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), "weir-prometheus-"));
  const file = join(folder, "prometheus.yml");
  writeFileSync(file, typeof config === "string" ? config : "global: {}\n");
  const server = await startServer(
    [
      "prometheus",
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
      "--web.enable-remote-write-receiver",
      "--web.enable-lifecycle",
      ...flags,
    ],
    /Server is ready to receive web requests/,
  );
  if (typeof config === "function") {
    writeFileSync(file, config(new URL(server.url).host));
    const answer = await fetch(`${server.url}/-/reload`, { method: "POST" });
    if (!answer.ok) throw new Error(await answer.text());
  }
  return {
    ...server,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Starts a VictoriaMetrics (Debian's package), with a folder of its own. */
export async function startVictoriaMetrics(): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), "weir-victoria-metrics-"));
  // It does not log the port that the system chooses.
  const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const address = `127.0.0.1:${probe.port}`;
  await probe.stop(true);
  const server = await startServer(
    [
      "victoria-metrics",
      `-storageDataPath=${join(folder, "data")}`,
      `-httpListenAddr=${address}`,
      "-retentionPeriod=100y",
    ],
    /started VictoriaMetrics in/,
    address,
  );
  // It may log that it has started before it listens.
  await until("VictoriaMetrics to answer", async () => (await fetch(`${server.url}/health`)).ok);
  return {
    ...server,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Starts an Alertmanager (Debian's package) with a configuration, and with a folder of its own. */
export async function startAlertmanager(config: string): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), "weir-alertmanager-"));
  const file = join(folder, "alertmanager.yml");
  writeFileSync(file, config);
  const server = await startServer(
    [
      "prometheus-alertmanager",
      `--config.file=${file}`,
      `--storage.path=${join(folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
      // Without a cluster: it would listen on another port.
      "--cluster.listen-address=",
    ],
    /Listening on/,
  );
  return {
    ...server,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
