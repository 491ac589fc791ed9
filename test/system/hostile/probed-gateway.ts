/** A gateway as a process, as scripts/serve starts it, with the probe of slices (slice-probe.ts). */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { until } from "../../until.ts";
import type { Probed } from "./slice-probe.ts";

/** As scripts/serve sets them. */
const ENVIRONMENT = {
  UV_THREADPOOL_SIZE: "16",
  BUN_JSC_forceRAMSize: "2147483648",
  MALLOC_ARENA_MAX: "1",
  MIMALLOC_PURGE_DELAY: "1000",
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "256000",
  BUN_IDLE_GC_SECONDS: "60,60,480",
  BUN_GC_TIMER_INTERVAL: "60000",
};

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
      env: { ...ENVIRONMENT, WEIR_PROBE: probe },
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
