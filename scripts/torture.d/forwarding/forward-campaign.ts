/**
 * Rounds of kills around a gateway with several destinations: another gateway, a receiver of OTLP, a Prometheus, a
 * VictoriaMetrics, and one that is slow. In each round events are pushed while someone gets SIGKILL, at a random moment or at a
 * stage of a request, and answers are lost. In the end every destination must have what was pushed: nothing lost, and nothing
 * twice where its protocol can prevent that. A VictoriaMetrics may have lost what it acknowledged shortly before it was killed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../../test/until.ts";
import type { Seeded } from "../seeded.ts";
import { AcknowledgedSamples } from "./acknowledged-samples.ts";
import { EventSource, postEvents } from "./event-source.ts";
import { Relay, type Stage } from "./relay.ts";
import {
  type Killable,
  KillableGateway,
  KillablePrometheus,
  KillableVictoriaMetrics,
  VICTORIA_WRITES_WITHIN_MS,
} from "./servers.ts";
import {
  samplesOfPrometheus,
  samplesOfVictoriaMetrics,
  type Verdict,
  verdictOfGateway,
  verdictOfSeries,
} from "./verdicts.ts";

const PUSHES_MAX = 4;
const EVENTS = [1, 10, 100, 400];
/** The step of counters, so that a campaign need not wait for 15 seconds. */
const STEP_MS = 1_000;
const SLOW_MS = 3_000;
/** What the counter of events is called at a destination. */
const COUNTERS: Readonly<Record<string, string>> = {
  otlp: "torture_done",
  prometheus: "torture_done_total",
  victoria: "torture_done_total",
};

export interface ForwardCampaignOptions {
  /** An empty folder for everything that the campaign writes. */
  readonly folder: string;
  readonly random: Seeded;
  /** Real servers that this machine has. */
  readonly hasPrometheus: boolean;
  readonly hasVictoriaMetrics: boolean;
}

export interface ForwardTally {
  rounds: number;
  /** By who was killed. */
  readonly kills: Map<string, number>;
  /** Events that were pushed, of all metrics. */
  pushed: number;
  lostAnswers: number;
  /** By destination. */
  readonly verdicts: Map<string, Verdict>;
  /** Rounds in which the slow destination had less than the others, which had everything. */
  overtaken: number;
}

interface Victim {
  readonly name: string;
  readonly server: Killable;
  readonly relay?: Relay;
}

export class ForwardCampaign {
  readonly #options: ForwardCampaignOptions;
  readonly #gateway: KillableGateway;
  readonly #victims: readonly Victim[];
  readonly #source: EventSource;
  /** Of VictoriaMetrics. */
  readonly #acknowledged = new AcknowledgedSamples();
  readonly #slow: Bun.Server<undefined>;
  readonly tally: ForwardTally = {
    ...{ rounds: 0, pushed: 0, lostAnswers: 0, overtaken: 0 },
    kills: new Map(),
    verdicts: new Map(),
  };

  constructor(options: ForwardCampaignOptions) {
    this.#options = options;
    const { folder, random, hasPrometheus, hasVictoriaMetrics } = options;
    mkdirSync(folder, { recursive: true });
    const config = join(folder, "weir.toml");
    this.#gateway = new KillableGateway(join(folder, "gateway"), [
      ...["--config", config, "--observation-step-ms", `${STEP_MS}ms`],
      // Snapshots of the totals and checkpoints are so frequent that kills interrupt them too.
      ...["--snapshot-rows=1000", "--snapshot-interval-ms=1s", "--checkpoint-log-bytes=1MiB"],
    ]);
    const victim = (name: string, server: Killable): Victim => ({ name, server, relay: new Relay(random) });
    this.#victims = [
      victim("hub", new KillableGateway(join(folder, "hub"))),
      // It keeps the names of counters, as those of gauges.
      victim("otlp", new KillableGateway(join(folder, "otlp"), ["--otlp-translation=no-translation"])),
      ...(hasPrometheus ? [victim("prometheus", new KillablePrometheus(join(folder, "prometheus")))] : []),
      ...(hasVictoriaMetrics
        ? [victim("victoria", new KillableVictoriaMetrics(join(folder, "victoria")))]
        : []),
    ];
    const victoria = this.#victims.find(({ name }) => name === "victoria");
    if (victoria !== undefined)
      victoria.relay!.onTaken = (body, sentMs) => this.#acknowledged.note(body, sentMs);
    this.#slow = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        await request.arrayBuffer();
        await Bun.sleep(SLOW_MS);
        return new Response(null, { status: 204 });
      },
    });
    const table = (name: string, type: string, url: string, more = "") =>
      `[[forward]]\nname = "${name}"\ntype = "${type}"\nurl = "${url}"\ntimeout = "10s"\n${more}`;
    const urls = new Map(this.#victims.map(({ name, relay }) => [name, relay!.url]));
    writeFileSync(
      config,
      table("hub", "weir", `${urls.get("hub")}/api/v1/push`, "samples_per_request = 500\n") +
        table(
          "otlp",
          "otlp",
          `${urls.get("otlp")}/v1/metrics`,
          'batch_timeout = "1s"\ncompression = "none"\n',
        ) +
        table("slow", "remote_write", this.#slow.url.href, "samples_per_request = 100\n") +
        (hasPrometheus
          ? table(
              ...(["prometheus", "remote_write", `${urls.get("prometheus")}/api/v1/write`] as const),
              'order = "oldest-first"\nshards = 2\n',
            )
          : "") +
        (hasVictoriaMetrics
          ? table("victoria", "remote_write", `${urls.get("victoria")}/api/v1/write`, "shards = 2\n")
          : ""),
    );
    this.#source = new EventSource("w", (body, key) => postEvents(this.#url, body, key));
  }

  /** While the gateway is away, nobody listens there. */
  get #url(): string {
    try {
      return this.#gateway.url;
    } catch {
      return "http://127.0.0.1:9";
    }
  }

  get isFailed(): boolean {
    return [...this.tally.verdicts.values()].some(
      ({ lost, doubled, faults }) => lost !== 0 || doubled !== 0 || faults.length > 0,
    );
  }

  async run(rounds: number): Promise<void> {
    try {
      for (const victim of this.#victims) victim.relay!.target = await victim.server.start();
      await this.#gateway.start();
      // The destinations are known before the first event.
      await this.#source.push(1);
      for (let round = 0; round < rounds; round++) await this.#round();
      await this.#settle();
      await this.#verify();
    } finally {
      this.tally.pushed = this.#source.sent.count * 3;
      this.tally.lostAnswers = this.#victims.reduce((sum, { relay }) => sum + relay!.repeated, 0);
      await this.#gateway.kill();
      for (const { server, relay } of this.#victims) {
        await server.kill();
        await relay!.stop();
      }
      await this.#slow.stop(true);
    }
  }

  async #round(): Promise<void> {
    const { random } = this.#options;
    const gateway: Victim = { name: "gateway", server: this.#gateway };
    const first = random.chance(0.5) ? gateway : random.pick(this.#victims);
    const victims = random.chance(0.25) ? [...new Set([first, random.pick(this.#victims)])] : [first];
    for (const { relay } of this.#victims) relay!.lost = random.chance(0.3) ? random.below(3) : 0;
    const watched = random.pick(this.#victims).relay!;
    const stage = random.pick<Stage>(["arrived", "stored"]);
    const requests = watched.requests + random.below(4);
    const afterMs = random.chance(0.5) ? random.below(2_500) : undefined;
    const killed = Promise.withResolvers<void>();
    let isKilled = false;
    const kill = () => {
      if (isKilled) return;
      isKilled = true;
      void this.#kill(victims).then(killed.resolve, killed.reject);
    };
    if (afterMs === undefined)
      watched.onRequest = (at) => {
        if (at === stage && watched.requests >= requests) kill();
      };
    // Also if no request comes.
    const timer = setTimeout(kill, afterMs ?? 3_000);
    try {
      for (let pushes = 1 + random.below(PUSHES_MAX); pushes > 0; pushes--) {
        await this.#source.push(random.pick(EVENTS));
        await Bun.sleep(random.below(400));
      }
      await killed.promise;
    } finally {
      clearTimeout(timer);
      watched.onRequest = () => {};
    }
    if (random.chance(0.3)) await this.#lookAtSlow();
    this.tally.rounds++;
  }

  /** Kills the victims, and starts them again after some time. */
  async #kill(victims: readonly Victim[]): Promise<void> {
    const { random } = this.#options;
    for (const { name, server, relay } of victims) {
      if (relay !== undefined) relay.target = undefined;
      if (name === "victoria") this.#acknowledged.noteKill();
      await server.kill();
      this.tally.kills.set(name, (this.tally.kills.get(name) ?? 0) + 1);
    }
    await Bun.sleep(random.below(500));
    for (const { name, server, relay } of victims) {
      if (name === "gateway" && random.chance(0.3)) {
        await this.#gateway.startAndKill(300 + random.below(900));
        this.tally.kills.set("start of the gateway", (this.tally.kills.get("start of the gateway") ?? 0) + 1);
      }
      const url = await server.start();
      if (relay !== undefined) relay.target = url;
    }
  }

  async #lags(): Promise<Map<string, number>> {
    const answer = await fetch(`${this.#url}/api/v1/forward`);
    const { destinations } = (await answer.json()) as {
      destinations: { name: string; lag_samples: number }[];
    };
    return new Map(destinations.map(({ name, lag_samples }) => [name, lag_samples]));
  }

  /** The slow destination delays no other. */
  async #lookAtSlow(): Promise<void> {
    const lags = await this.#lags().catch(() => new Map<string, number>());
    const others = this.#victims.map(({ name }) => lags.get(name));
    if ((lags.get("slow") ?? 0) > 0 && others.every((lag) => lag === 0)) this.tally.overtaken++;
  }

  /** Waits until the destinations have everything. The slow one is left alone. */
  async #settle(): Promise<void> {
    for (const { relay } of this.#victims) relay!.lost = 0;
    await until(
      "the destinations to have everything",
      async () => {
        // The journal moves to its tables before a read.
        await fetch(`${this.#url}/api/v1/sql?q=SELECT%201`);
        const lags = await this.#lags();
        return this.#victims.every(({ name }) => lags.get(name) === 0);
      },
      600,
    );
    await until(
      "the last counters",
      async () =>
        (await Promise.all(this.#readers().map(([name, read]) => read(COUNTERS[name]!)))).every(
          (samples) => samples.toSorted(([a], [b]) => a - b).at(-1)?.[1] === this.#source.sum,
        ),
      60,
    ).catch(() => undefined);
    // Another request could still repeat something.
    await Bun.sleep(2 * STEP_MS);
  }

  #readers(): (readonly [name: string, read: (metric: string) => Promise<[number, number][]>])[] {
    const readers: Readonly<Record<string, typeof samplesOfPrometheus>> = {
      otlp: samplesOfPrometheus,
      prometheus: samplesOfPrometheus,
      victoria: samplesOfVictoriaMetrics,
    };
    return this.#victims
      .filter(({ name }) => readers[name] !== undefined)
      .map(({ name, relay }) => [name, (metric) => readers[name]!(relay!.target!, metric)]);
  }

  async #verify(): Promise<void> {
    const { verdicts } = this.tally;
    const hub = this.#victims.find(({ name }) => name === "hub")!.relay!.target!;
    verdicts.set("gateway", await verdictOfGateway(this.#url, this.#source, "w"));
    verdicts.set("hub", await verdictOfGateway(hub, this.#source, "w"));
    const late = { acknowledged: this.#acknowledged, intervalMs: VICTORIA_WRITES_WITHIN_MS };
    for (const [name, read] of this.#readers()) {
      const options = { done: COUNTERS[name]!, ...(name === "victoria" ? { late } : {}) };
      verdicts.set(name, await verdictOfSeries(read, this.#source, options));
    }
  }
}
