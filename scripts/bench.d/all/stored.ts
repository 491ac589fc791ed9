/** How costs grow with the samples that are stored: the same series with more and more samples, and queries over them. */
import { send } from "../promql-load.ts";
import { percentile, usageOf } from "../usage.ts";
import type { Case, Competitor, More, Sent } from "./measure.ts";

const SERIES = 10_000;
const INTERVAL_MS = 14_400;
const CONNECTIONS = 4;
/** VictoriaMetrics does not answer for the last 30 s. */
const AGE_MS = 60_000;
const WARM_SCRAPES = 30;
const ASKED = 5;

/** Stores samples, and then asks. */
export function storedCase(
  samples: number,
  competitors: (work: Omit<Competitor, "contender">) => readonly Competitor[],
): Case {
  const scrapes = Math.max(2, Math.round(samples / SERIES));
  const load = {
    series: SERIES,
    samplesPerRequest: 1_250,
    connections: CONNECTIONS,
    intervalMs: INTERVAL_MS,
  };
  return {
    id: "stored",
    title: `${(scrapes * SERIES).toLocaleString("en-US")} samples of ${SERIES.toLocaleString("en-US")} series, then queries`,
    unit: "sample",
    size: { of: "samples stored", value: samples },
    open() {
      const lastMs = Date.now() - AGE_MS;
      const firstMs = lastMs - scrapes * INTERVAL_MS;
      return competitors({
        async warm({ url }) {
          await send(url, { ...load, scrapes: WARM_SCRAPES, firstMs: firstMs - WARM_SCRAPES * INTERVAL_MS });
          return { units: WARM_SCRAPES * SERIES };
        },
        async work({ url }): Promise<Sent> {
          const began = performance.now();
          const latenciesMs = await send(url, { ...load, scrapes, firstMs });
          return { units: SERIES * scrapes, seconds: (performance.now() - began) / 1_000, latenciesMs };
        },
        ask: ({ url, pid }) => askAll(url, pid, firstMs, lastMs),
      });
    },
  };
}

/** Asks for a rate of the last hour, for a mean over all samples of 1,000 series, and for the values of a label. */
async function askAll(url: string, pid: number, firstMs: number, lastMs: number): Promise<More> {
  const end = Math.floor(lastMs / 1_000);
  const range = { start: String(end - 3_600), end: String(end) };
  const rate = new URLSearchParams({
    query: "sum by (route) (rate(bench_requests_total[5m]))",
    ...range,
    step: "15",
    nocache: "1",
  });
  const seconds = Math.ceil((lastMs - firstMs) / 1_000);
  const all = new URLSearchParams({
    query: `avg(avg_over_time(bench_temperature_celsius[${seconds}s]))`,
    time: String(end),
    nocache: "1",
  });
  const { cpuSeconds } = usageOf(pid);
  const rateMs = await timed(url, `/api/v1/query_range?${rate}`);
  const rateCpuMs = ((usageOf(pid).cpuSeconds - cpuSeconds) / ASKED) * 1_000;
  return {
    ...{ rateMs, rateCpuMs },
    allMs: await timed(url, `/api/v1/query?${all}`),
    labelValuesMs: await timed(url, `/api/v1/label/instance/values?${new URLSearchParams(range)}`),
  };
}

/** VictoriaMetrics finds samples some seconds after it has answered for them. */
const FOUND_MS_MAX = 30_000;

/** The median of some requests, until the last byte of the answer. */
async function timed(url: string, path: string): Promise<number> {
  const times: number[] = [];
  const untilMs = performance.now() + FOUND_MS_MAX;
  while (isEmpty(await (await fetch(new URL(path, url))).text()) && performance.now() < untilMs)
    await Bun.sleep(100);
  for (let time = 0; time < ASKED; time++) {
    const began = performance.now();
    const response = await fetch(new URL(path, url));
    const text = await response.text();
    if (!response.ok) throw new Error(`a query was answered ${response.status}: ${text.slice(0, 500)}`);
    if (/"(?:result|data)":\s*\[\]/.test(text))
      throw new Error(`${path} has no answer: ${text.slice(0, 500)}`);
    times.push(performance.now() - began);
  }
  return percentile(times, 0.5);
}

const isEmpty = (answer: string) => /"(?:result|data)":\s*\[\]/.test(answer);
