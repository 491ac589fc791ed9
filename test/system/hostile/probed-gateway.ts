/** A gateway as a process, as scripts/serve starts it, with the probe of slices (slice-probe.ts). */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PROCESS_TUNING } from "../../../src/program/process-tuning.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { until } from "../../until.ts";
import type { Probed } from "./slice-probe.ts";

export class ProbedGateway {
  readonly gateway: GatewayProcess;
  readonly #probe: string;

  private constructor(gateway: GatewayProcess, probe: string) {
    this.gateway = gateway;
    this.#probe = probe;
  }

  static async start(folder: string, args: readonly string[]): Promise<ProbedGateway> {
    const probe = join(folder, "longest-slice");
    const gateway = await GatewayProcess.start({
      data: join(folder, "data"),
      args,
      runtimeArgs: ["--preload", join(import.meta.dir, "slice-probe.ts")],
      env: { ...PROCESS_TUNING, WEIR_PROBE: probe },
    });
    return new ProbedGateway(gateway, probe);
  }

  /** The longest slice since the last call. */
  async takeLongest(): Promise<Probed> {
    rmSync(this.#probe, { force: true });
    process.kill(this.gateway.pid, "SIGUSR2");
    await until("the probe", () => existsSync(this.#probe));
    return JSON.parse(readFileSync(this.#probe, "utf8")) as Probed;
  }
}
