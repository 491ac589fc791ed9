/**
 * NVIDIA GPUs, from one call of nvidia-smi per run (https://docs.nvidia.com/deploy/nvidia-smi/).
 *
 * systeminformation's `graphics()` is not used: it runs nvidia-smi (and lspci, xrandr …) with `execFileSync`,
 * which blocks the event loop for as long as a driver takes, or hangs, and it does not ask for the UUID.
 *
 * - The XML of `nvidia-smi -q -x` has every value and the processes. If it lacks an attached card, the CSV of the five
 *   oldest fields is queried too, once per ten minutes. The output with more cards is used for these ten minutes. If both
 *   have the same number, the CSV is used: the index of a card is its position in the XML, and would be wrong.
 * - Every card that can be read is stored. A warning beside the cards, or an exit code that reports one (14: a corrupted
 *   infoROM, 15: a lost card), is counted and logged once.
 * - Without nvidia-smi, or if it reports that there is no GPU, there are no samples and no failure. The next check is in
 *   ten minutes.
 * - A value that a card does not have (`N/A`, utilisation while MIG is on) is not a sample.
 * - A process is killed when its run is aborted. The run ends with it, so that processes never pile up.
 */
import { quote } from "../../model/errors.ts";
import { type Part, type PartOptions, rejectionOf } from "../part.ts";
import type { GpuOutput } from "./gpu-metrics.ts";
import { CSV_ARGUMENTS, readGpuCsv } from "./smi-csv.ts";

/**
 * Exit codes of nvidia-smi (its manual, "Return value") on a machine without a GPU: no device found, no driver
 * loaded, no library. If a GPU was seen before, they are a failure.
 */
const NO_GPU_EXIT_CODES: ReadonlySet<number> = new Set([6, 9, 12]);

/** A driver can be installed or replaced while the gateway runs. */
const LOOK_AGAIN_MS = 10 * 60_000;
/** A card takes 30 kB of XML. This is enough for sixteen cards with hundreds of processes each. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

interface GpuOptions extends PartOptions {
  /** Whether the memory of each process is sampled too. */
  readonly hasProcesses?: boolean;
  /** Folders to search for nvidia-smi, as in PATH. */
  readonly path?: string;
  readonly timeoutMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
}

/** The result of a call of nvidia-smi. */
interface Answer extends GpuOutput {
  readonly exitCode: number;
  /** Its output on both streams, for a message. */
  readonly said: string;
  /** What it wrote to standard error. */
  readonly errors: string;
}

export function gpuPart(options: GpuOptions): Part {
  const { intervalMs, path, timeoutMs, hasProcesses = false, now = () => performance.now() } = options;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  /** The output to use while the XML lacks an attached card. */
  let settled: { readonly by: "xml" | "csv"; readonly untilMs: number } | undefined;
  let wasSeen = false;

  /** The cards from the XML, else from the CSV. Undefined if nvidia-smi is not installed. */
  async function ask(signal: AbortSignal): Promise<Answer | undefined> {
    const executable = Bun.which("nvidia-smi", path === undefined ? undefined : { PATH: path });
    if (executable === null) return undefined;
    let partial: Answer | undefined;
    if (settled?.by !== "csv" || now() >= settled.untilMs) {
      // Loaded only if nvidia-smi is installed.
      const { XML_ARGUMENTS, readGpuXml } = await import("./smi-xml.ts");
      const called = await call(executable, XML_ARGUMENTS, signal);
      const { attached, ...read } = readGpuXml(called.output, hasProcesses);
      const answer = { ...called, ...read };
      const isWhole = read.gpus.length > 0 && read.gpus.length === attached;
      if (isWhole || saysNone(called)) return answer;
      if (read.gpus.length > 0)
        answer.unread = [...read.unread, `${read.gpus.length} of ${attached} cards in its XML`];
      if (settled?.by === "xml" && now() < settled.untilMs) return answer;
      partial = answer;
    }
    const called = await call(executable, CSV_ARGUMENTS, signal);
    const answer = { ...called, ...readGpuCsv(called.output) };
    const isXmlBetter = partial !== undefined && partial.gpus.length > answer.gpus.length;
    if (partial !== undefined) settled = { by: isXmlBetter ? "xml" : "csv", untilMs: now() + LOOK_AGAIN_MS };
    return isXmlBetter ? partial : answer;
  }

  return {
    name: "gpu",
    intervalMs,
    timeoutMs,
    async collect(reading, signal) {
      if (now() < notBeforeMs) return;
      const answer = await ask(signal);
      if (answer === undefined || (answer.gpus.length === 0 && !wasSeen && saysNone(answer))) {
        notBeforeMs = now() + LOOK_AGAIN_MS;
        return;
      }
      const { gpus, unread, exitCode, said, errors } = answer;
      if (gpus.length === 0) {
        settled = undefined;
        throw new Error(`nvidia-smi listed no GPU and exited with ${exitCode}: ${quote(said)}`);
      }
      wasSeen = true;
      for (const { index, uuid, name, readings } of gpus) {
        for (const { metric, value, labels = [] } of readings) {
          reading.add(metric, value, index, uuid, name, ...labels);
        }
      }
      if (unread.length > 0) reading.lacks(`nvidia-smi also wrote ${unread.slice(0, 3).join(", ")}`);
      else if (exitCode !== 0) reading.lacks(`nvidia-smi exited with ${exitCode}: ${quote(errors || said)}`);
    },
  };
}

/** Whether nvidia-smi reports that this machine has no GPU. */
function saysNone({ exitCode, said }: Pick<Answer, "exitCode" | "said">): boolean {
  if (NO_GPU_EXIT_CODES.has(exitCode)) return true;
  return exitCode === 0 && (said === "" || /no devices were found|<attached_gpus>0</i.test(said));
}

/** Runs nvidia-smi to its end. If the signal aborts first, it is killed, and this rejects after its exit. */
async function call(
  executable: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string; said: string; errors: string }> {
  signal.throwIfAborted();
  const child = Bun.spawn([executable, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    maxBuffer: OUTPUT_BYTES_MAX,
    killSignal: "SIGKILL",
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const texts = Promise.all([child.stdout.text(), child.stderr.text()]);
    texts.catch(() => {}); // Awaited below, or not at all.
    const exitCode = await child.exited;
    signal.throwIfAborted();
    // A child process of it may keep the pipe open. This waits for that only within the time limit of the run.
    const [output, errors] = await Promise.race([texts, rejectionOf(signal)]);
    const said = `${errors}${output}`.trim();
    // It was killed, usually because it wrote without end. Its output cannot be trusted.
    return { exitCode, output: exitCode < 128 ? output : "", said, errors: errors.trim() };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
