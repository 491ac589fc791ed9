/**
 * The real process, killed while it takes alerts and delivers notifications to a receiver that fails and hangs: every
 * acknowledged alert arrives, its end does too, and no acknowledged silence is lost. A seed decides the moments of the
 * kills and the failures.
 */
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { HttpReceiver } from "../rules/notifications/receivers/http-receiver.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const SEED = 20_261_126;
const KILLS = 8;
/** Requests before a kill, at most. */
const REQUESTS_MAX = 40;

const receiver = new HttpReceiver();
afterAll(() => receiver.stop());

/** Numbers from 0 to 1 (the generator of Park and Miller). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Posts once. Resolves to the JSON of the answer, or undefined if there was none. */
async function post(
  url: string,
  path: string,
  body: unknown,
): Promise<{ readonly json: unknown } | undefined> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
    text = await answer.text();
  } catch {
    return undefined;
  }
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${text}`);
  return { json: text === "" ? undefined : (JSON.parse(text) as unknown) };
}

const HOUR = 3_600_000;

test("no alert, no end of an alert and no silence is lost by kills", async () => {
  const random = randomOf(SEED);
  const folder = temporaryFolder();
  const data = join(folder, "data");
  writeFileSync(
    join(folder, "weir.toml"),
    `[[notify]]
name = "hook"
type = "webhook"
url = "${receiver.url}"
group_by = ["..."]
group_wait = "0s"
group_interval = "1s"
repeat_interval = "1h"
timeout = "300ms"
`,
  );
  const start = () => GatewayProcess.start({ data, args: ["--no-sampler"], cwd: folder });
  /** Times of the alerts that a receiver took, by state and name. */
  const taken = { firing: new Set<string>(), resolved: new Set<string>() };
  let isFailing = true;
  receiver.answer = ({ body }) => {
    const draw = isFailing ? random() : 1;
    if (draw < 0.3) return new Response("", { status: 503 });
    if (draw < 0.4) return new Promise<Response>(() => undefined);
    for (const { status, labels } of (body as { alerts: { status: "firing"; labels: { n: string } }[] })
      .alerts)
      taken[status].add(labels.n);
    return new Response("ok");
  };

  const startedMs = Date.now();
  const alert = (n: string, endsAtMs: number) => [
    {
      labels: { alertname: "Hot", n },
      startsAt: new Date(startedMs).toISOString(),
      endsAt: new Date(endsAtMs).toISOString(),
    },
  ];
  /** Names of alerts whose beginning, and whose end, was acknowledged. */
  const [begun, ended, silences]: [string[], string[], string[]] = [[], [], []];
  let next = 0;
  for (let round = 0; round < KILLS; round++) {
    const gateway = await start();
    const requests = 1 + Math.floor(random() * REQUESTS_MAX);
    for (let request = 0; request < requests; request++) {
      const open = begun.find((n) => taken.firing.has(n) && !ended.includes(n));
      if (open !== undefined && random() < 0.4) {
        if (await post(gateway.url, "/api/v2/alerts", alert(open, Date.now()))) ended.push(open);
      } else if (random() < 0.1) {
        const answer = await post(gateway.url, "/api/v2/silences", {
          matchers: [{ name: "host", value: `h${request}`, isRegex: false, isEqual: true }],
          startsAt: new Date(startedMs).toISOString(),
          endsAt: new Date(startedMs + HOUR).toISOString(),
          createdBy: "test",
          comment: "test",
        });
        if (answer !== undefined) silences.push((answer.json as { silenceID: string }).silenceID);
      } else {
        const n = `a${next++}`;
        if (await post(gateway.url, "/api/v2/alerts", alert(n, startedMs + HOUR))) begun.push(n);
      }
    }
    // A request may be in progress.
    const last = `a${next++}`;
    const sending = post(gateway.url, "/api/v2/alerts", alert(last, startedMs + HOUR));
    await gateway.stop("SIGKILL");
    if (await sending) begun.push(last);
  }
  expect(begun.length).toBeGreaterThan(20);
  isFailing = false;
  const gateway = await start();
  const missing = (names: readonly string[], state: keyof typeof taken) =>
    names.filter((n) => !taken[state].has(n));
  await until("every alert has arrived", () => missing(begun, "firing").length === 0);
  for (const n of begun) {
    if (ended.includes(n)) continue;
    await post(gateway.url, "/api/v2/alerts", alert(n, Date.now()));
    ended.push(n);
  }
  await until("the end of every alert has arrived", () => missing(ended, "resolved").length === 0);
  const listed = (await (await fetch(`${gateway.url}/api/v2/silences`)).json()) as { id: string }[];
  expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining(silences));
  expect(await gateway.stop("SIGTERM")).toBe(0);
});
