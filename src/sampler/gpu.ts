/**
 * NVIDIA GPUs, from `nvidia-smi --query-gpu` (https://docs.nvidia.com/deploy/nvidia-smi/).
 *
 * systeminformation's `graphics()` is not used: it runs nvidia-smi (and lspci, xrandr …) with `execFileSync`, which
 * holds the event loop for as long as a driver takes, or hangs, and it does not ask for the UUID.
 *
 * - No nvidia-smi, or one that says there is no GPU: no samples and no failure, and the next look is a while away.
 * - A value that a card does not have (`[N/A]`, `[Not Supported]`, utilisation while MIG is on) is no sample.
 * - One process a run, killed when the run is aborted; the run ends with it, so that they never pile up.
 */
import { quote } from "../errors.ts";
import { type Definition, gauge } from "./batch.ts";
import { type Part, type PartOptions, rejectionOf } from "./part.ts";

const GPU = ["gpu", "uuid", "name"];
const MEBIBYTE = 1024 * 1024;

/** What is asked for and shown, each with the factor from nvidia-smi's unit to the metric's. */
const VALUES: readonly (readonly [query: string, Definition, inUnit: (value: number) => number])[] = [
  [
    "utilization.gpu",
    gauge("gpu_utilization_ratio", "Share of the time in which a kernel ran on the GPU.", GPU),
    (percent) => percent / 100,
  ],
  [
    "memory.used",
    gauge("gpu_memory_used_bytes", "Memory of the GPU in use.", GPU),
    (mebibytes) => mebibytes * MEBIBYTE,
  ],
  [
    "memory.total",
    gauge("gpu_memory_total_bytes", "Memory of the GPU.", GPU),
    (mebibytes) => mebibytes * MEBIBYTE,
  ],
  [
    "temperature.gpu",
    gauge("gpu_temperature_celsius", "Temperature of the GPU's core.", GPU),
    (celsius) => celsius,
  ],
  ["power.draw", gauge("gpu_power_watts", "Power that the GPU draws.", GPU), (watts) => watts],
];

/** The name stands last: it alone could hold a comma. */
const QUERY = ["index", "uuid", ...VALUES.map(([query]) => query), "name"];
const ARGUMENTS = [`--query-gpu=${QUERY.join(",")}`, "--format=csv,noheader,nounits"];

export interface Gpu {
  readonly index: string;
  /** Empty where the driver does not tell. */
  readonly uuid: string;
  readonly name: string;
  /** In the order of the metrics and in their units; undefined where the card has no such value. */
  readonly values: readonly (number | undefined)[];
}

/**
 * Reads the CSV of nvidia-smi, one line a GPU. A line that is no GPU is an error that quotes it: a driver that does
 * not match its library says so on standard output.
 */
export function parseGpus(text: string): Gpu[] {
  const gpus: Gpu[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "" || /^no devices were found/i.test(line)) continue;
    const fields = line.split(",").map((field) => field.trim());
    if (fields.length < QUERY.length || !/^\d+$/.test(fields[0])) {
      throw new Error(`nvidia-smi wrote ${quote(line)}, expected ${QUERY.join(", ")}`);
    }
    gpus.push({
      index: fields[0],
      uuid: known(fields[1]) ?? "",
      name: known(fields.slice(QUERY.length - 1).join(", ")) ?? "",
      values: VALUES.map(([, , inUnit], column) => {
        const field = known(fields[column + 2]);
        const value = field === undefined ? Number.NaN : Number(field);
        return Number.isFinite(value) ? inUnit(value) : undefined;
      }),
    });
  }
  return gpus;
}

/** `[N/A]`, `N/A`, `[Not Supported]`, `[Unknown Error]`, `[GPU requires reset]` …: whatever stands in brackets. */
function known(field: string): string | undefined {
  return field === "" || field === "N/A" || /^\[.*\]$/.test(field) ? undefined : field;
}

/**
 * Exit codes of nvidia-smi (its manual, "Return value") that a machine without a GPU gives: no device found, no
 * driver loaded, no library. A machine whose GPU was seen before has failed instead.
 */
const NO_GPU_EXIT_CODES: ReadonlySet<number> = new Set([6, 9, 12]);

/** Where there is no GPU it is looked for this often: a driver may be installed while the gateway runs. */
const LOOK_AGAIN_MS = 10 * 60_000;
/** Thousands of GPUs; more is no answer to the question. */
const OUTPUT_BYTES_MAX = 1024 * 1024;

export interface GpuOptions extends PartOptions {
  /** Folders in which nvidia-smi is looked for, as in PATH. */
  readonly path?: string;
  readonly timeoutMs?: number;
  /** Milliseconds on a clock that does not jump. */
  readonly now?: () => number;
}

export function gpuPart({ intervalMs, path, timeoutMs, now = () => performance.now() }: GpuOptions): Part {
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let seen = false;

  /** The GPUs; none where there is no nvidia-smi, or it has found none. */
  async function ask(signal: AbortSignal): Promise<readonly Gpu[]> {
    const executable = Bun.which("nvidia-smi", path === undefined ? undefined : { PATH: path });
    if (executable === null) return [];
    const { exitCode, output } = await run(executable, signal);
    const gpus = exitCode === 0 ? parseGpus(output) : [];
    if (gpus.length > 0 || (!seen && (exitCode === 0 || NO_GPU_EXIT_CODES.has(exitCode)))) return gpus;
    throw new Error(`nvidia-smi gave no GPU and ended with ${exitCode}: ${quote(output.trim())}`);
  }

  return {
    name: "gpu",
    intervalMs,
    timeoutMs,
    async collect(reading, signal) {
      if (now() < notBeforeMs) return;
      const gpus = await ask(signal);
      if (gpus.length === 0) notBeforeMs = now() + LOOK_AGAIN_MS;
      else seen = true;
      for (const gpu of gpus) {
        VALUES.forEach(([, definition], column) => {
          reading.add(definition, gpu.values[column], gpu.index, gpu.uuid, gpu.name);
        });
      }
    },
  };
}

/** Runs nvidia-smi to its end; when the signal aborts first it is killed, and this rejects once it is gone. */
async function run(executable: string, signal: AbortSignal): Promise<{ exitCode: number; output: string }> {
  signal.throwIfAborted();
  const child = Bun.spawn([executable, ...ARGUMENTS], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    maxBuffer: OUTPUT_BYTES_MAX,
    killSignal: "SIGKILL",
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const text = child.stdout.text();
    text.catch(() => {}); // Awaited below, or not at all.
    const exitCode = await child.exited;
    signal.throwIfAborted();
    // A child of its own may hold the pipe open: that is waited for only as long as the run may take.
    return { exitCode, output: await Promise.race([text, rejectionOf(signal)]) };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
