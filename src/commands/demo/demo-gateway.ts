/**
 * The gateway of the demo: the one that `weir serve` runs, with the default settings. Variables, weir.toml and a gateway
 * that runs already do not matter to it: if the default port is taken, it listens on a free one.
 */
import { appendFileSync } from "node:fs";
import manifest from "../../../package.json" with { type: "json" };
import { loadConfig } from "../../config/config.ts";
import { registerProcessMetrics } from "../../exposition/process-metrics.ts";
import { ListenError } from "../../http/server.ts";
import { createLog } from "../../log/log.ts";
import { type RunningGateway, startGateway } from "../serve/serve.ts";

/** That of the commands. */
export const DEFAULT_PORT = 9091;

export interface DemoGatewayOptions {
  readonly data: string;
  /** A port of loopback. If it is undefined: the default one, or a free one if that is taken. */
  readonly port: number | undefined;
  readonly logFile: string;
  /** Called if the gateway can store nothing any more. */
  readonly onFatal: () => void;
}

/** @throws ListenError if `port` cannot be used */
export async function startDemoGateway({
  data,
  port,
  logFile,
  onFatal,
}: DemoGatewayOptions): Promise<RunningGateway> {
  const log = createLog("info", (line) => appendFileSync(logFile, line));
  const startAt = async (at: number) => {
    const config = loadConfig(["--listen", `127.0.0.1:${at}`, "--data", data], {}, () => undefined);
    const gateway = await startGateway(config, { log, onFatal });
    registerProcessMetrics(gateway.counters, manifest.version);
    return gateway;
  };
  try {
    return await startAt(port ?? DEFAULT_PORT);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    if (port !== undefined)
      throw new ListenError(
        `--port is ${port}, which cannot be used: another program listens there, or it is not allowed.`,
      );
    return await startAt(0);
  }
}
