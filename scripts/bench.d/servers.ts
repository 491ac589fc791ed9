/**
 * The servers that benchmarks compare: this gateway, and programs that may be installed, each as a process of its own
 * on a folder of its own.
 */
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { GatewayProcess } from "../../test/gateway-process.ts";

export interface Server {
  readonly pid: number;
  /** Its address, with the requested path. */
  readonly url: string;
  /** Stops it with SIGTERM. Resolves when the process has ended. */
  stop(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Why it cannot take part; undefined if it can. */
  readonly absent?: string;
  start(folder: string): Promise<Server>;
}

/**
 * This gateway, with the sampler off.
 *
 * @param checkout another checkout of the gateway than this one
 */
export function weir(
  path: string,
  args: readonly string[],
  runtimeArgs: readonly string[],
  checkout?: string,
): Contender {
  const other = checkout === undefined ? {} : startOf(checkout, runtimeArgs);
  return {
    name: "weir",
    async start(folder) {
      const gateway = await GatewayProcess.start({
        data: join(folder, "data"),
        args: ["--no-sampler", ...args],
        runtimeArgs,
        ...other,
      });
      return {
        pid: gateway.pid,
        url: `${gateway.url}${path}`,
        stop: async () => void (await gateway.stop("SIGTERM")),
      };
    },
  };
}

function startOf(checkout: string, runtimeArgs: readonly string[]) {
  return { cwd: checkout, program: [process.execPath, ...runtimeArgs, join(checkout, "src/main.ts")] };
}

export interface Program {
  readonly name: string;
  /** The path of what is measured. */
  readonly path: string;
  /** The path that answers 200 once it is ready. */
  readonly readyPath: string;
  args(folder: string, address: string): readonly string[];
}

/** A server that does not answer after this time does not start. */
const READY_MS_MAX = 60_000;

/** A program, if it is installed. */
export function program({ name, path, readyPath, args }: Program): Contender {
  return {
    name,
    absent: Bun.which(name) === null ? "not installed" : undefined,
    async start(folder) {
      mkdirSync(folder, { recursive: true });
      const address = `127.0.0.1:${await freePort()}`;
      const child = Bun.spawn([name, ...args(folder, address)], { stdout: "ignore", stderr: "inherit" });
      const untilMs = performance.now() + READY_MS_MAX;
      while (
        !(await fetch(`http://${address}${readyPath}`).then(
          (response) => response.ok,
          () => false,
        ))
      ) {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        if (performance.now() > untilMs) {
          child.kill("SIGKILL");
          throw new Error(`${name} was not ready after ${READY_MS_MAX / 1_000} s`);
        }
        await Bun.sleep(50);
      }
      return {
        pid: child.pid,
        url: `http://${address}${path}`,
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
