/** Runs the real command line as a separate process. */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `weir ARGS` without waiting for it. */
export function start(args: readonly string[], { stdin = "", env = {} }: RunOptions = {}) {
  const { WEIR_URL: _, ...inherited } = process.env;
  return Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), ...args], {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs `weir ARGS` to its end. */
export async function weir(args: readonly string[], options?: RunOptions): Promise<Finished> {
  const child = start(args, options);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}
