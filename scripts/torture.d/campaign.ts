/**
 * Rounds of torture on one data folder. A round starts the gateway, settles what had no answer, compares what is stored with
 * what was acknowledged, pushes while something else happens, and kills the gateway. Between two rounds the files that the
 * kill left may be damaged in a copy, backed up, restored, compacted or opened by a start that is killed too.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, watch } from "node:fs";
import { join } from "node:path";
import { STORE_FILE } from "../../src/store/inspection.ts";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { Client } from "./client.ts";
import { Crowd } from "./crowd.ts";
import { countsOf, openDamaged, packedCountsOf } from "./damage.ts";
import type { GatewayClock } from "./gateway-clock.ts";
import { countingSql, Ledger, type Push, type StoredPush } from "./ledger.ts";
import { type Disk, killedRun, runToEnd } from "./processes.ts";
import type { Seeded } from "./seeded.ts";
import { SCHEMA, undoUpgrade } from "./upgrade.ts";
import { Worker } from "./worker.ts";

const WORKERS = 4;
const MINUTE_MS = 60_000;
const MiB = 2 ** 20;

/** What happens while the workers push. */
const BESIDE = [
  "nothing",
  "reads",
  "delete",
  "backup",
  "tokens",
  "midnight",
  "clock",
  "crowd",
  "full disk",
] as const;
/** What happens to the files that a kill left. */
const BETWEEN = [
  "nothing",
  "killed start",
  "damage",
  "restore",
  "compact",
  "migration",
  "read-only",
] as const;
type Beside = (typeof BESIDE)[number];
type Between = (typeof BETWEEN)[number];

export interface CampaignOptions {
  /** An empty folder for everything that the campaign writes. */
  readonly folder: string;
  readonly random: Seeded;
  readonly clock: GatewayClock;
  /** The small disk that `folder` is on, if it is on one. */
  readonly disk?: Disk;
  /** The threads of the gateway that decode large bodies. */
  readonly decodeWorkers: number;
  /** The most samples of the gauge in a push, LEVELS by default. */
  readonly levelsMax?: number;
}

export interface Tally {
  rounds: number;
  kills: number;
  acknowledged: number;
  lost: number;
  doubled: number;
  readonly faults: string[];
  /** How often each kind of event took place. */
  readonly events: Map<string, number>;
}

export class Campaign {
  readonly #options: CampaignOptions;
  readonly #ledger = new Ledger();
  readonly #workers: Worker[];
  readonly tally: Tally = {
    rounds: 0,
    kills: 0,
    acknowledged: 0,
    lost: 0,
    doubled: 0,
    faults: [],
    events: new Map(),
  };
  #data: string;
  #folders = 0;
  #token = "";
  #tokens = new Set<string>();
  /** Earliest time of the next command that changes tokens: a killed one delays it. */
  #tokensFrom = 0;
  /** The round whose scrap a deletion without an answer should have deleted. */
  #deleting: number | undefined;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#data = join(options.folder, "data-0");
    this.#workers = Array.from(
      { length: WORKERS },
      (_, index) => new Worker(index, this.#ledger, this.tally.faults, options),
    );
  }

  get isFailed(): boolean {
    const { lost, doubled, faults } = this.tally;
    return lost + doubled + faults.length > 0;
  }

  /** Runs rounds until one of them finds a fault, and verifies the store after the last one. */
  async run(rounds: number): Promise<void> {
    const { folder } = this.#options;
    const created = await runToEnd([
      "token",
      "create",
      "--name",
      "torture",
      "--scope",
      "push,read,sql,scrape,alerts,admin",
      "--token-file",
      this.#tokenFile,
    ]);
    if (created.code !== 0) throw new Error(created.err);
    this.#token = created.out.trim().split("\n")[0]!;
    mkdirSync(join(folder, "beside"), { recursive: true });
    for (let round = 0; round < rounds && !this.isFailed; round++) await this.#round(round);
    if (this.isFailed) return;
    const gateway = await this.#start();
    try {
      await this.#settle(new Client(gateway.url, this.#token));
      await this.#verify(new Client(gateway.url, this.#token), "after the last round");
    } finally {
      const code = await gateway.stop("SIGTERM");
      if (code !== 0) this.tally.faults.push(`the stop ended with ${code}: ${gateway.log.text}`);
    }
    await this.#countStored();
  }

  /** What was pushed in which form, and what of it is in blocks. */
  async #countStored(): Promise<void> {
    const { events } = this.tally;
    for (const { form, events: samples, scrap } of this.#ledger.acknowledged)
      events.set(`samples as ${form}`, (events.get(`samples as ${form}`) ?? 0) + samples + scrap);
    if (this.#options.decodeWorkers > 0) events.set("samples with decoding threads", this.tally.acknowledged);
    const { samples, packed, blocks, daysInParts } = await packedCountsOf(this.#data);
    events.set("samples stored at the end", samples);
    events.set("of them in blocks", packed);
    events.set("blocks", blocks);
    events.set("days packed in parts", daysInParts);
  }

  get #tokenFile(): string {
    return join(this.#options.folder, "tokens.json");
  }

  get #serve() {
    return {
      data: this.#data,
      env: this.#options.clock.env,
      args: [
        "--no-sampler",
        "--enable-admin-api",
        ...["--token-file", this.#tokenFile],
        // Snapshots of the totals, checkpoints, pruning and packing are so frequent that kills interrupt them too.
        ...[
          "--snapshot-rows=1000",
          "--snapshot-interval-ms=1s",
          "--checkpoint-log-bytes=1MiB",
          "--retention-interval-ms=1s",
          "--pack-after-ms=1s",
          "--pack-interval-ms=100ms",
        ],
        "--retention-days=3",
        // What the clock's steps must not end.
        ...["--idempotency-ttl-ms=30d", "--totals-late-ms=30d", "--series-idle-ms=365d"],
        ...["--disk-reserve-bytes=4MiB", "--memory-limit-bytes=256MiB"],
        `--decode-workers=${this.#options.decodeWorkers}`,
      ],
    };
  }

  #start(): Promise<GatewayProcess> {
    return GatewayProcess.start(this.#serve);
  }

  #count(event: string): void {
    this.tally.events.set(event, (this.tally.events.get(event) ?? 0) + 1);
  }

  async #round(round: number): Promise<void> {
    const { random, clock, disk } = this.#options;
    const { tally } = this;
    const gateway = await this.#start();
    const client = new Client(gateway.url, this.#token);
    let isKilled = false;
    try {
      await this.#settle(client);
      await this.#verify(client, `in round ${round}`);
      if (this.isFailed) return;
      let beside: Beside = random.pick(BESIDE);
      if (!clock.canStep && (beside === "midnight" || beside === "clock")) beside = "reads";
      if (disk === undefined && beside === "full disk") beside = "delete";
      this.#count(beside);
      for (const worker of this.#workers) worker.isStopped = false;
      const pushing = Promise.all(this.#workers.map((worker) => worker.run(client, round)));
      const kill = async () => {
        if (isKilled) return;
        isKilled = true;
        await gateway.stop("SIGKILL");
        tally.kills++;
      };
      const before = this.#ledger.acknowledged.length;
      const enough = random.below(40);
      const acting = this.#beside(beside, client, round, kill);
      const patience = performance.now() + 20_000;
      while (this.#ledger.acknowledged.length < before + enough && performance.now() < patience && !isKilled)
        await Bun.sleep(1);
      await this.#moment(random);
      await kill();
      await Promise.all([pushing, acting]);
      this.#ledger.firstDay = Math.max(this.#ledger.firstDay, clock.day - 2);
      if (beside === "full disk") await this.#startOnFullDisk();
    } finally {
      for (const worker of this.#workers) worker.isStopped = true;
      if (!isKilled) await gateway.stop("SIGKILL");
      disk?.empty();
      tally.acknowledged = this.#ledger.acknowledged.reduce(
        (sum, { events, scrap }) => sum + events + scrap,
        0,
      );
      tally.rounds++;
    }
    await this.#between(round);
  }

  /** The moment of the kill: now, a little later, or soon after the engine or the journal wrote a file. */
  async #moment(random: Seeded): Promise<void> {
    const afterMs = random.next() * (random.chance(0.5) ? 4 : 60);
    if (random.chance(0.5)) {
      const wanted = random.pick(["", ".wal", ".journal"]);
      const { promise, resolve } = Promise.withResolvers<void>();
      const watcher = watch(this.#data, (_, name) => {
        if (name === STORE_FILE + wanted) resolve();
      });
      await Promise.race([promise, Bun.sleep(300)]);
      watcher.close();
    }
    await Bun.sleep(afterMs);
  }

  /** What happens while the workers push. `kill` ends the gateway early. */
  async #beside(beside: Beside, client: Client, round: number, kill: () => Promise<void>): Promise<void> {
    const { random, clock, disk, folder } = this.#options;
    switch (beside) {
      case "nothing":
        return;
      case "reads":
        // Each reader moves the journal.
        for (let read = 0; read < 20; read++) {
          if ((await client.send("/metrics")) === undefined) return;
          if (
            (await client.send(`/api/v1/sql?q=${encodeURIComponent("SELECT count(*) FROM samples")}`)) ===
            undefined
          )
            return;
        }
        return;
      case "delete": {
        const rounds = [...new Set(this.#ledger.acknowledged.map((push) => push.round))];
        const left = rounds.filter((each) => each < round && !this.#ledger.deleted.has(each));
        if (left.length === 0) return;
        this.#deleting = random.pick(left);
        await this.#delete(client);
        return;
      }
      case "backup":
        await this.#backUp(client, join(folder, "beside", `backup-${round}`), kill);
        return;
      case "tokens":
        await this.#changeTokens(round);
        return;
      case "midnight": {
        // Otherwise a series could lose its last day, and /metrics its totals.
        const today = clock.day;
        if (this.#workers.some(({ latestDay }) => latestDay < today)) return;
        clock.stepBeforeMidnight(random.below(400));
        return;
      }
      case "clock": {
        const byMs = (random.below(240) - 120) * MINUTE_MS;
        clock.step(byMs);
        await Bun.sleep(random.below(60));
        if (random.chance(0.7)) clock.step(-byMs);
        return;
      }
      case "crowd": {
        const crowd = new Crowd(client.url, random.pick([50, 200, 1_000]), random);
        await crowd.gather();
        await Bun.sleep(random.below(100));
        crowd.close();
        return;
      }
      case "full disk":
        for (let times = random.below(3); times >= 0; times--) {
          disk!.fill(random.below(5) * MiB);
          await Bun.sleep(random.below(150));
          if (times > 0) disk!.empty();
        }
        return;
    }
  }

  async #delete(client: Client): Promise<void> {
    const selector = encodeURIComponent(`{"torture.scrap", batch="r${this.#deleting}"}`);
    const answer = await client.send(`/api/v1/admin/tsdb/delete_series?match[]=${selector}`, {
      method: "POST",
    });
    if (answer === undefined) return;
    if (answer.status !== 204) {
      if (answer.status !== 503)
        this.tally.faults.push(`a deletion was answered ${answer.status}: ${answer.text.slice(0, 200)}`);
      return;
    }
    this.#ledger.deleted.add(this.#deleting!);
    this.#deleting = undefined;
  }

  /** A backup of the running gateway, in which the gateway or the command may be killed. */
  async #backUp(client: Client, dest: string, kill: () => Promise<void>): Promise<void> {
    const { random } = this.#options;
    const acknowledged = [...this.#ledger.acknowledged];
    const command = ["backup", dest, "--data", this.#data, "--url", client.url];
    const env = { WEIR_TOKEN: this.#token };
    const victim = random.pick(["nobody", "the gateway", "the command"]);
    if (victim === "the command") {
      await killedRun(command, 200 + random.below(500), env);
    } else {
      const running = runToEnd(command, env);
      if (victim === "the gateway") {
        await Bun.sleep(250 + random.below(400));
        await kill();
      }
      await running;
    }
    if (!existsSync(dest)) return;
    this.#count("whole backup");
    this.#judgeCopy(await countsOf(dest), acknowledged, "a backup");
    rmSync(dest, { recursive: true });
  }

  /** Compares a copy of the store with what was acknowledged before it was made. */
  #judgeCopy(stored: readonly StoredPush[], acknowledged: readonly Push[], what: string): void {
    const today = this.#options.clock.day;
    const verdict = this.#ledger.compare(
      stored,
      // A day may have been dropped before or after it.
      acknowledged.filter(({ day }) => day > today - 2),
      this.#sent(),
      // So may have samples.
      () => undefined,
    );
    this.#judge(verdict, what);
  }

  async #changeTokens(round: number): Promise<void> {
    const { random } = this.#options;
    if (performance.now() < this.#tokensFrom) return;
    const [old] = this.#tokens;
    const isNew = old === undefined || random.chance(0.6);
    const name = isNew ? `t${round}` : old;
    const command = isNew
      ? ["token", "create", "--name", name, "--scope", "push", "--token-file", this.#tokenFile]
      : ["token", "revoke", name, "--token-file", this.#tokenFile];
    const isKilled = random.chance(0.5);
    if (isKilled) {
      // A killed command leaves the name of its new file behind, which the next one takes over after ten seconds.
      this.#tokensFrom = performance.now() + 12_000;
      const code = await killedRun(command, 150 + random.below(400));
      if (code !== 0) this.#tokens.delete(name);
      else if (isNew) this.#tokens.add(name);
      else this.#tokens.delete(name);
      return;
    }
    const { code, err } = await runToEnd(command);
    // A killed command before may have done it.
    if (code !== 0 && !/already|no token/.test(err))
      this.tally.faults.push(`weir ${command.join(" ")}: ${err}`);
    if (isNew) this.#tokens.add(name);
    else this.#tokens.delete(name);
  }

  async #startOnFullDisk(): Promise<void> {
    const gateway = await this.#start();
    try {
      const client = new Client(gateway.url, this.#token);
      await client.get(`/api/v1/sql?q=${encodeURIComponent("SELECT count(*) FROM samples")}`);
      await client.get("/metrics");
    } finally {
      await gateway.stop("SIGKILL");
      this.tally.kills++;
    }
  }

  /** What happens to the files that a kill left. */
  async #between(round: number): Promise<void> {
    if (this.isFailed) return;
    const { random, disk, folder } = this.#options;
    let between: Between = random.pick(BETWEEN);
    if (disk === undefined && between === "read-only") between = "killed start";
    this.#count(between === "nothing" ? "no event between" : between);
    switch (between) {
      case "nothing":
        return;
      case "killed start":
        for (let times = 1 + random.below(2); times > 0; times--) {
          await GatewayProcess.startAndKill(this.#serve, 200 + random.below(700));
          this.tally.kills++;
        }
        return;
      case "damage":
        for (let times = 0; times < 6; times++)
          await this.#damage(join(folder, "beside", `damaged-${round}`));
        return;
      case "restore": {
        const backup = join(folder, "beside", `offline-${round}`);
        const next = join(folder, `data-${++this.#folders}`);
        await this.#untilWhole(["backup", backup, "--data", this.#data], backup);
        await this.#untilWhole(["restore", backup, "--data", next], next);
        for (const left of [this.#data, backup]) rmSync(left, { recursive: true });
        for (const name of readdirSync(folder))
          if (name.includes(".part-")) rmSync(join(folder, name), { recursive: true });
        this.#data = next;
        return;
      }
      case "compact":
        for (let times = 1 + random.below(2); times > 0; times--)
          await killedRun(["compact", "--data", this.#data], 250 + random.below(600));
        if (random.chance(0.5)) {
          const { code, err } = await runToEnd(["compact", "--data", this.#data]);
          if (code !== 0) this.tally.faults.push(`weir compact ended with ${code}: ${err}`);
        }
        return;
      case "migration": {
        const command = ["upgrade.ts", this.#data];
        const backup = join(this.#data, `before-schema-${SCHEMA}`);
        for (let times = random.below(3); times > 0; times--)
          await killedRun(command, 150 + random.below(500));
        if (existsSync(backup))
          this.#judgeCopy(await countsOf(backup), this.#ledger.acknowledged, "the backup before a migration");
        const { code, err } = await runToEnd(command);
        if (code !== 0) this.tally.faults.push(`a migration ended with ${code}: ${err}`);
        await undoUpgrade(this.#data);
        rmSync(backup, { recursive: true });
        return;
      }
      case "read-only": {
        disk!.setReadOnly(true);
        try {
          const { exitCode, log } = await GatewayProcess.startToEnd(this.#serve);
          if (exitCode === 0 || !log.includes("mounted read-only"))
            this.tally.faults.push(`a start on a read-only disk ended with ${exitCode}: ${log}`);
        } finally {
          disk!.setReadOnly(false);
        }
        return;
      }
    }
  }

  /** Runs a command that makes a folder: killed at first, and then until the folder is there. */
  async #untilWhole(command: readonly string[], made: string): Promise<void> {
    const { random } = this.#options;
    if (random.chance(0.6)) await killedRun(command, 200 + random.below(500));
    if (existsSync(made)) return;
    const { code, err } = await runToEnd(command);
    if (code !== 0) throw new Error(`weir ${command.join(" ")} ended with ${code}: ${err}`);
  }

  /** A copy with damage: it opens with whole commits in their order, or the start says what is wrong. */
  async #damage(into: string): Promise<void> {
    const { clock, random } = this.#options;
    const outcome = await openDamaged(this.#data, into, random);
    this.#count(`damage ${outcome.kind}`);
    if (outcome.kind === "failed")
      this.tally.faults.push(`a damaged store ended with another error: ${outcome.what}`);
    if (outcome.kind !== "opened") return;
    const found = new Map(outcome.stored.map((each) => [each.name, each]));
    const missing = new Map<number, string>();
    for (const push of this.#ledger.acknowledged) {
      if (push.day < Math.max(this.#ledger.firstDay, clock.day - 2)) continue;
      const has = found.get(push.name);
      if (has === undefined) {
        missing.set(push.worker, missing.get(push.worker) ?? push.name);
        continue;
      }
      const hole = missing.get(push.worker);
      if (hole !== undefined) {
        this.tally.faults.push(
          `damage in the middle was passed over: ${outcome.what}: ${push.name} is there without ${hole}`,
        );
        return;
      }
      if (has.events !== push.events || has.ids !== push.events || has.sum !== push.sum) {
        this.tally.faults.push(`a commit was applied in part or twice: ${outcome.what}: ${push.name}`);
        return;
      }
    }
  }

  /** Sends what had no answer, until it has one. */
  async #settle(client: Client): Promise<void> {
    for (const worker of this.#workers) {
      for (let attempt = 0; !(await worker.settle(client)); attempt++) {
        if (attempt === 100) {
          this.tally.faults.push(
            `worker ${worker.index} had no answer to ${worker.unanswered?.name ?? "its group"}`,
          );
          return;
        }
        await Bun.sleep(20);
      }
    }
    for (let attempt = 0; this.#deleting !== undefined && attempt < 100; attempt++)
      await this.#delete(client);
  }

  /** The push of a name that was sent and has no answer yet, or was acknowledged. */
  #sent(): (name: string) => Push | undefined {
    const waiting = this.#workers.flatMap(({ unanswered }) => unanswered ?? []);
    const all = new Map([...this.#ledger.acknowledged, ...waiting].map((push) => [push.name, push]));
    return (name) => all.get(name);
  }

  /** Rows by SQL, totals and groups on /metrics. Everything that was sent has its answer. */
  async #verify(client: Client, when: string): Promise<void> {
    const { clock } = this.#options;
    // Without a push, there is no column task_id.
    if (this.#ledger.acknowledged.length === 0) return;
    this.#ledger.firstDay = Math.max(this.#ledger.firstDay, clock.day - 2);
    const stored = await client.sql<StoredPush>(countingSql());
    const verdict = this.#ledger.compare(stored, this.#ledger.acknowledged, () => undefined);
    this.#judge(verdict, when);
    const scraped = await client.scrape();
    const sumOf = (name: string, worker: number) =>
      [...scraped]
        .filter(([series]) => series.startsWith(`${name}{`) && series.includes(`worker="w${worker}"`))
        .reduce((sum, [, value]) => sum + value, 0);
    for (const { index } of this.#workers) {
      const want = this.#ledger.totalsOf(index);
      const group = this.#ledger.groups.get(index);
      for (const [name, value] of [
        ["torture_duration_ms_count", want.durations],
        ["torture_duration_ms_sum", want.durationSum],
        ["torture_done_total", want.doneSum],
        ...(group === undefined ? [] : [["torture_group", group] as const]),
      ] as const) {
        const has = sumOf(name, index);
        if (has !== value)
          this.tally.faults.push(`${when}: ${name} of w${index} is ${has}, expected ${value}`);
      }
    }
  }

  #judge(
    { lost, doubled, faults }: { lost: number; doubled: number; faults: readonly string[] },
    where: string,
  ): void {
    this.tally.lost += lost;
    this.tally.doubled += doubled;
    this.tally.faults.push(...faults.map((fault) => `${where}: ${fault}`));
  }

  /** Copies the folder of a failed campaign, for a person who looks for the reason. */
  keep(to: string): void {
    cpSync(this.#options.folder, to, { recursive: true });
  }
}
