/**
 * A worker's files while they are rotated, truncated and compressed at random, a follower and a gateway that are killed at
 * random, and imports in between. At the end, count and sum of each metric are those of the lines that were written.
 */
import { expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Subprocess } from "bun";
import { start, weir } from "../commands/weir.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const FILES = ["metrics_prod.json", "metrics_1.json", "metrics.json"];
const METRICS = 3;

/** Random whole numbers below a limit, from a seed (xorshift). */
function randomNumbers(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

class Workers {
  readonly folder = temporaryFolder();
  readonly files = join(this.folder, "log");
  readonly socket = `unix:${join(this.folder, "weir.sock")}`;
  readonly written = Array.from({ length: METRICS }, () => ({ count: 0, sum: 0 }));
  readonly log: string[] = [];
  readonly #random: (below: number) => number;
  /** By file: the rest of a line that is written later. */
  readonly #halves = new Map<string, string>();
  readonly #rotated: string[] = [];
  readonly #baseMs = Date.now() - 1_800_000;
  /** Where the log of the running follower begins. */
  #logBegin = 0;
  #lines = 0;
  #rotations = 0;
  #gateway: GatewayProcess | undefined;
  #follower: Subprocess<"ignore" | Blob, "pipe", "pipe"> | undefined;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
    mkdirSync(this.files);
  }

  get total(): number {
    return this.written.reduce((sum, { count }) => sum + count, 0);
  }

  async startGateway(): Promise<void> {
    const args = ["--listen", this.socket, "--no-sampler"];
    this.#gateway = await GatewayProcess.start({ data: join(this.folder, "data"), args });
  }

  startFollower(): void {
    const pattern = join(this.files, "metrics*.json");
    const state = join(this.folder, "state");
    this.#logBegin = this.log.length;
    this.#follower = start(["tail", pattern, "--url", this.socket, "--from-start", "--state", state]);
    const { stderr } = this.#follower;
    void (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of stderr) this.log.push(decoder.decode(bytes));
    })();
  }

  async stopFollower(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const follower = this.#follower!;
    // Before it has started, a signal ends it like any program.
    const hasStarted = () => this.log.slice(this.#logBegin).join("").includes("event=tail_started");
    if (signal === "SIGTERM") await until("the start of the follower", hasStarted);
    follower.kill(signal);
    await follower.exited;
    if (signal === "SIGTERM") expect(follower.exitCode).toBe(0);
  }

  async killGateway(): Promise<void> {
    await this.#gateway!.stop("SIGKILL");
    await this.startGateway();
  }

  async close(): Promise<void> {
    if (this.#follower?.exitCode === null) await this.stopFollower("SIGKILL");
    await this.#gateway?.stop("SIGKILL");
  }

  async sql(q: string): Promise<Record<string, number>[]> {
    const answer = await fetch(`${this.#gateway!.url}/api/v1/sql?${new URLSearchParams({ q })}`);
    return ((await answer.json()) as { rows: Record<string, number>[] }).rows;
  }

  async allStored(): Promise<void> {
    let seen = 0;
    await until("all lines", async () => {
      seen = Number((await this.sql("SELECT count(*) AS n FROM samples WHERE metric LIKE 'm%'"))[0]!.n);
      return seen >= this.total;
    }).catch((error: unknown) => {
      throw new Error(`${seen} of ${this.total} lines are stored\n${this.log.join("")}`, { cause: error });
    });
  }

  #append(file: string, text: string): void {
    appendFileSync(join(this.files, file), (this.#halves.get(file) ?? "") + text);
    this.#halves.delete(file);
  }

  #line(): string {
    const at = this.#lines++;
    const metric = this.#random(METRICS);
    const value = this.#random(1_000);
    this.written[metric]!.count += 1;
    this.written[metric]!.sum += value;
    const tags = { task_id: `t${at}` };
    return `${JSON.stringify({ "@timestamp": this.#baseMs + at, metric_name: `m${metric}`, value, tags })}\n`;
  }

  write(): void {
    const file = FILES[this.#random(FILES.length)]!;
    let text = "";
    for (let left = this.#random(30) + 1; left > 0; left--) text += this.#line();
    const cut = this.#random(3) === 0 ? text.length - 1 - this.#random(40) : text.length;
    this.#append(file, text.slice(0, cut));
    if (cut < text.length) this.#halves.set(file, text.slice(cut));
  }

  finishLines(): void {
    for (const file of FILES) this.#append(file, "");
  }

  /** Renames a file, or copies and truncates it. */
  rotate(how: "rename" | "copy"): void {
    const file = FILES[this.#random(FILES.length)]!;
    const path = join(this.files, file);
    this.#append(file, "");
    const day = new Date(Date.UTC(2024, 0, 1 + this.#rotations++)).toISOString().slice(0, 10);
    const rotated = `${path}.${day}`;
    if (how === "rename") renameSync(path, rotated);
    else {
      copyFileSync(path, rotated);
      truncateSync(path);
    }
    this.#rotated.push(rotated);
  }

  /** Compresses a rotated file, as logrotate does later. */
  compress(): void {
    const path = this.#rotated.pop();
    if (path === undefined || !existsSync(path)) return;
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
    rmSync(path);
  }

  /** Deletes or empties a file whose lines are all stored, which is all that can be asked of a follower. */
  async discard(): Promise<void> {
    this.finishLines();
    await this.allStored();
    const path = join(this.files, FILES[this.#random(FILES.length)]!);
    if (this.#random(2) === 0) truncateSync(path);
    else rmSync(path);
  }

  async import(): Promise<void> {
    const { code, out, err } = await weir(["import", this.files, "--url", this.socket]);
    if (code !== 0) this.log.push(`weir import: ${code}\n${out}${err}`);
    expect(code).toBe(0);
  }

  async step(): Promise<void> {
    const choice = this.#random(100);
    if (choice < 55) this.write();
    else if (choice < 65) this.rotate("rename");
    else if (choice < 75) this.rotate("copy");
    else if (choice < 80) this.compress();
    else if (choice < 84) await this.discard();
    else if (choice < 88) await this.import();
    else if (choice < 96) {
      await this.stopFollower(choice < 94 ? "SIGKILL" : "SIGTERM");
      // Sometimes it is away for a few steps.
      for (let left = this.#random(4); left > 0; left--) {
        this.write();
        if (this.#random(2) === 0) this.rotate(this.#random(2) === 0 ? "rename" : "copy");
      }
      this.startFollower();
    } else await this.killGateway();
    // The follower runs meanwhile.
    await Bun.sleep(this.#random(200));
  }
}

const { seed, numRuns } = runs(60);

test("no line is lost and none is stored twice", async () => {
  const workers = new Workers(seed);
  try {
    await workers.startGateway();
    workers.write();
    workers.startFollower();
    for (let step = 0; step < numRuns; step++) await workers.step();
    workers.finishLines();
    await workers.allStored();
    // Neither a new start nor an import finds more.
    await workers.stopFollower("SIGTERM");
    await workers.import();
    const query =
      "SELECT metric, count(*) AS n, sum(value) AS total FROM samples WHERE metric LIKE 'm%' GROUP BY ALL";
    const stored = await workers.sql(`${query} ORDER BY metric`);
    const want = workers.written.map(({ count, sum }, at) => ({ metric: `m${at}`, n: count, total: sum }));
    expect(stored.map((row) => ({ ...row, n: Number(row.n) }))).toEqual(want as never);
    expect(workers.log.join("")).not.toContain("level=error");
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}\n${workers.log.join("")}`, { cause: error });
  } finally {
    await workers.close();
  }
}, 600_000);
