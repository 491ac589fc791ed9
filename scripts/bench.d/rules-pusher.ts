/**
 * A process that pushes events at a rate, and the gauges of 100 workers each 15 seconds. It prints a line per push of
 * events: how long it took (ms), and how many events it had.
 *
 * Arguments: the gateway's address and the events per second.
 */
import { bodies } from "./events.ts";

const [url, rateText] = process.argv.slice(2);
const rate = Number(rateText);
const BATCH = 1_000;
const WORKERS = 100;
const GAUGE_INTERVAL_MS = 15_000;

/** Without times: the gateway sets that of arrival. */
const prepared = [...bodies(40 * BATCH, BATCH, { fromMs: 0, toMs: 0 }, 1)].map((body) =>
  Buffer.from(body).toString("utf8").replaceAll('"@timestamp":0,', ""),
);

async function push(body: string): Promise<void> {
  const answer = await fetch(`${url}/api/v1/push`, { method: "POST", body });
  const text = await answer.text();
  if (!answer.ok && answer.status !== 429) throw new Error(`a push was answered ${answer.status}: ${text}`);
}

function gauges(): string {
  const events = Array.from({ length: WORKERS }, (_, at) => ({
    metric_name: "queue_depth",
    type: "gauge",
    value: Math.floor(Math.random() * 100),
    tags: { job: "worker", worker: `w${at}` },
  }));
  return JSON.stringify(events);
}

await push(gauges());
setInterval(() => void push(gauges()), GAUGE_INTERVAL_MS);

/** Batches that were begun: so many that the rate is kept, also if one of them was slow. */
let begun = 0;
const startMs = performance.now();
const lanes = rate === 0 ? 0 : 4;
for (let lane = 0; lane < lanes; lane++) {
  void (async () => {
    for (;;) {
      const dueMs = startMs + (begun * BATCH * 1_000) / rate;
      const body = prepared[begun++ % prepared.length]!;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      const beginMs = performance.now();
      await push(body);
      console.log(`${performance.now() - beginMs} ${BATCH}`);
    }
  })();
}
