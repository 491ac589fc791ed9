/**
 * Gateways in network namespaces of their own send to one hub, while their links are cut at random. Each gets events all the
 * time by a Unix socket, which no cut reaches. In the end, the hub must have what each of them has: once.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../../test/until.ts";
import { Seeded } from "../seeded.ts";
import { EventSource, postEvents } from "./event-source.ts";
import { type Cut, Namespaces } from "./namespaces.ts";
import { KillableGateway } from "./servers.ts";
import { verdictOfGateway } from "./verdicts.ts";

/** Events of each of three metrics that a gateway gets per second. */
const EVENTS_PER_SECOND = 50;
const CUT_MS_MAX = 25_000;
const WHOLE_MS_MAX = 15_000;
const CUTS: readonly Cut[] = ["down", "silent", "silent", "unreachable"];

interface LinksOptions {
  readonly gateways: number;
  readonly minutes: number;
  readonly seed: number;
  readonly folder: string;
  readonly keeps: boolean;
}

interface Edge {
  readonly index: number;
  readonly server: KillableGateway;
  readonly socket: string;
  readonly source: EventSource;
}

/** Returns the exit code. */
export async function tortureLinks({
  gateways,
  minutes,
  seed,
  folder,
  keeps,
}: LinksOptions): Promise<number> {
  const work = mkdtempSync(join(folder, "weir-torture-links-"));
  const namespaces = Namespaces.open(gateways);
  const random = new Seeded(seed);
  const port = freePort();
  const hub = new KillableGateway(join(work, "hub"), [`--listen=${namespaces.address}:${port}`, "--open"]);
  const edges = Array.from({ length: gateways }, (_, index) =>
    edgeOf(work, index, namespaces, `http://${namespaces.address}:${port}`),
  );
  const cuts = new Map<Cut, number>();
  let cutMs = 0;
  let lagMost = 0;
  let exitCode = 1;
  let isKept = keeps;
  try {
    await hub.start();
    for (const { server } of edges) await server.start();
    const endMs = performance.now() + minutes * 60_000;
    const isOver = () => performance.now() >= endMs;
    const cutting = async ({ index }: Edge) => {
      while (!isOver()) {
        await Bun.sleep(Math.min(random.below(WHOLE_MS_MAX), Math.max(0, endMs - performance.now())));
        if (isOver()) return;
        const how = random.pick(CUTS);
        const forMs = Math.min(random.below(CUT_MS_MAX), Math.max(0, endMs - performance.now()));
        namespaces.cut(index, how);
        cuts.set(how, (cuts.get(how) ?? 0) + 1);
        cutMs += forMs;
        await Bun.sleep(forMs);
        namespaces.mend(index, how);
      }
    };
    const pushing = async ({ source }: Edge) => {
      while (!isOver()) {
        const begin = performance.now();
        await source.push(EVENTS_PER_SECOND);
        await Bun.sleep(Math.max(0, 1_000 - (performance.now() - begin)));
      }
    };
    const looking = async () => {
      while (!isOver()) {
        await Bun.sleep(2_000);
        for (const edge of edges) lagMost = Math.max(lagMost, (await lagOf(edge)) ?? 0);
      }
    };
    await Promise.all([...edges.flatMap((edge) => [cutting(edge), pushing(edge)]), looking()]);
    const ended = performance.now();
    await until(
      "the hub to have everything",
      async () => (await Promise.all(edges.map(lagOf))).every((lag) => lag === 0),
      300,
    );
    const caughtUp = (performance.now() - ended) / 1_000;
    let [lost, doubled, events] = [0, 0, 0];
    const faults: string[] = [];
    for (const { index, socket, source } of edges) {
      const sender = `g${index}`;
      for (const [where, verdict] of [
        [`gateway ${index}`, await verdictOfGateway("http://localhost", source, sender, { unix: socket })],
        ["the hub", await verdictOfGateway(hub.url, source, sender)],
      ] as const) {
        lost += verdict.lost;
        doubled += verdict.doubled;
        faults.push(...verdict.faults.map((fault) => `${where}, events of ${sender}: ${fault}`));
      }
      events += source.sent.count * 3;
    }
    for (const fault of faults) console.log(`  ${fault}`);
    console.log(
      `${gateways} gateways, ${minutes} minutes, seed ${seed}: ${events} events, ` +
        `${[...cuts].map(([how, times]) => `${times} cuts ${how}`).join(", ")}, links cut for ` +
        `${Math.round((cutMs / (gateways * minutes * 60_000)) * 100)} % of the time, at most ${lagMost} events behind, ` +
        `caught up ${caughtUp.toFixed(1)} s after the last cut; ${lost} lost, ${doubled} doubled`,
    );
    exitCode = lost === 0 && doubled === 0 && faults.length === 0 ? 0 : 1;
    isKept &&= exitCode !== 0;
  } finally {
    for (const { server } of edges) await server.kill();
    await hub.kill();
    namespaces.close();
    if (isKept) console.log(`  kept in ${work}`);
    else rmSync(work, { recursive: true, force: true });
  }
  return exitCode;
}

function edgeOf(work: string, index: number, namespaces: Namespaces, hub: string): Edge {
  const config = join(work, `g${index}.toml`);
  const socket = join(work, `g${index}.sock`);
  writeFileSync(
    config,
    `[[forward]]\nname = "hub"\ntype = "weir"\nurl = "${hub}/api/v1/push"\ntimeout = "5s"\nlabels = { gateway = "g${index}" }\n`,
  );
  const args = ["--config", config, `--listen=unix:${socket}`];
  const post = (body: string, key: string) => postEvents("http://localhost", body, key, { unix: socket });
  return {
    ...{ index, socket },
    server: new KillableGateway(join(work, `g${index}`), args, namespaces.by(index)),
    source: new EventSource(`g${index}`, post),
  };
}

async function lagOf({ socket }: Edge): Promise<number | undefined> {
  // The journal moves to its tables before a read.
  await fetch("http://localhost/api/v1/sql?q=SELECT%201", { unix: socket });
  const answer = await fetch("http://localhost/api/v1/forward", { unix: socket });
  const { destinations } = (await answer.json()) as { destinations: { lag_samples: number }[] };
  return destinations[0]?.lag_samples;
}

function freePort(): number {
  const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = probe;
  void probe.stop(true);
  return port!;
}
