/** The watchdog gets a message only while commits settle. */
import { afterEach, expect, test } from "bun:test";
import type { Log } from "../../src/log/log.ts";
import { Supervisor } from "../../src/supervision/supervisor.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A supervisor whose messages can be awaited, and whose probes the test settles. */
function open(env: Record<string, string> = { WATCHDOG_USEC: "20000" }) {
  const sent: string[] = [];
  const logged: string[] = [];
  const probes: PromiseWithResolvers<void>[] = [];
  let wake = Promise.withResolvers<void>();
  const turn = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const log: Log = (event) => {
    logged.push(event);
    turn();
  };
  const supervisor = new Supervisor({
    notify: async (lines) => {
      sent.push(lines.join("|"));
      turn();
    },
    env,
    pid: 17,
    log,
  });
  closing.push(() => supervisor.stopping(0));
  const probe = () => {
    const settled = Promise.withResolvers<void>();
    probes.push(settled);
    turn();
    return settled.promise;
  };
  return {
    supervisor,
    sent,
    logged,
    probes,
    gateway: { probe, status: () => `${probes.length} probes` },
    async until(what: () => boolean) {
      while (!what()) await wake.promise;
    },
  };
}

test("a probe that succeeds and one that fails send a message, and one that hangs sends none until it settles", async () => {
  const { supervisor, gateway, sent, probes, logged, until } = open();
  await supervisor.ready(gateway);
  expect(sent).toEqual(["READY=1|STATUS=0 probes"]);
  await until(() => probes.length === 1);
  probes[0]!.resolve();
  await until(() => sent.length === 2);
  await until(() => probes.length === 2);
  probes[1]!.reject(new Error("disk full"));
  await until(() => sent.length === 3);
  // The third one hangs for longer than half of the watchdog's time.
  await until(() => probes.length === 3);
  await until(() => logged.length === 1);
  expect(logged).toEqual(["commits_stuck"]);
  expect(sent).toHaveLength(3);
  expect(probes).toHaveLength(3);
  probes[2]!.resolve();
  await until(() => sent.length === 4);
  expect(sent.slice(1)).toEqual([
    "WATCHDOG=1|STATUS=1 probes",
    "WATCHDOG=1|STATUS=2 probes",
    "WATCHDOG=1|STATUS=3 probes",
  ]);
});

test("a start and a stop ask for the time that they may take", async () => {
  const { supervisor, sent } = open();
  await supervisor.opening();
  await supervisor.stopping(8_000);
  expect(sent).toEqual([
    "STATUS=opening the store|EXTEND_TIMEOUT_USEC=60000000",
    "STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=10000000",
  ]);
});

test("a probe that settles during the stop sends no message", async () => {
  const { supervisor, gateway, sent, probes, until } = open();
  await supervisor.ready(gateway);
  await until(() => probes.length === 1);
  await supervisor.stopping(0);
  probes[0]!.resolve();
  await probes[0]!.promise;
  await Promise.resolve();
  expect(sent.map((lines) => lines.split("|")[0])).toEqual(["READY=1", "STOPPING=1"]);
});

test("a supervisor that cannot be reached is logged once", async () => {
  const logged: unknown[] = [];
  const supervisor = new Supervisor({
    notify: () => Promise.reject(new Error("nobody receives there")),
    env: {},
    pid: 1,
    log: (event, fields) => void logged.push([event, fields]),
  });
  await supervisor.opening();
  await supervisor.failed("why");
  expect(logged).toEqual([["supervisor_unreachable", { error: "Error: nobody receives there" }]]);
});
