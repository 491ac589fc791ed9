/** Servers of the campaigns of forwarding, each with a folder that stays while the server is killed and started again. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../../test/gateway-process.ts";
import { type RealServer, startServer } from "../../../test/real-servers.ts";

/** A server that can be killed and started again. */
export interface Killable {
  start(): Promise<string>;
  kill(): Promise<void>;
}

/** A gateway as a process. */
export class KillableGateway implements Killable {
  readonly #data: string;
  readonly #args: readonly string[];
  readonly #by: readonly string[];
  #process: GatewayProcess | undefined;

  constructor(data: string, args: readonly string[] = [], by: readonly string[] = []) {
    this.#data = data;
    this.#args = ["--no-sampler", ...args];
    this.#by = by;
  }

  get #serve() {
    return { data: this.#data, args: this.#args, by: this.#by };
  }

  get url(): string {
    if (this.#process === undefined) throw new Error("the gateway does not run");
    return this.#process.url;
  }

  get log(): string {
    return this.#process?.log.text ?? "";
  }

  async start(): Promise<string> {
    this.#process = await GatewayProcess.start(this.#serve);
    return this.#process.url;
  }

  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
    this.#process = undefined;
  }

  /** A start that is killed at whatever stage it is. */
  async startAndKill(afterMs: number): Promise<void> {
    await GatewayProcess.startAndKill(this.#serve, afterMs);
  }
}

/** A Prometheus. Its write-ahead log survives a SIGKILL. */
export class KillablePrometheus implements Killable {
  readonly #folder: string;
  #server: RealServer | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "prometheus.yml"), "global: {}\n");
  }

  async start(): Promise<string> {
    this.#server = await startServer(
      [
        "prometheus",
        `--config.file=${join(this.#folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(this.#folder, "data")}`,
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-remote-write-receiver",
      ],
      /Server is ready to receive web requests/,
    );
    return this.#server.url;
  }

  async kill(): Promise<void> {
    await this.#server?.stop("SIGKILL");
    this.#server = undefined;
  }
}

/**
 * A VictoriaMetrics. It acknowledges samples that are in memory, and writes them to the disk later. So a SIGKILL loses samples
 * that it has acknowledged, and no sender can know that.
 */
export class KillableVictoriaMetrics implements Killable {
  readonly #folder: string;
  readonly #address: string;
  #server: RealServer | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    this.#address = `127.0.0.1:${probe.port}`;
    void probe.stop(true);
  }

  async start(): Promise<string> {
    this.#server = await startServer(
      [
        "victoria-metrics",
        `-storageDataPath=${this.#folder}`,
        `-httpListenAddr=${this.#address}`,
        "-retentionPeriod=100y",
      ],
      /started VictoriaMetrics in/,
      this.#address,
    );
    return this.#server.url;
  }

  async kill(): Promise<void> {
    await this.#server?.stop("SIGKILL");
    this.#server = undefined;
  }
}

/**
 * The longest time from an acknowledgement of VictoriaMetrics until the sample is on its disk. Its source has the parts: rows
 * wait one second, and a part in memory that is five seconds old is written by a timer of five seconds. One second is for the
 * writing.
 */
export const VICTORIA_WRITES_WITHIN_MS = 12_000;
