/**
 * The same facts by every protocol, into the real process: SQL has equal rows, and PromQL equal values. A kill -9 right
 * after the acknowledgement loses none of them, and a push that is sent again afterwards does what facts.ts says.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RECEIVERS } from "../../src/receive/receivers.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { type Addresses, expositionText, type FactProtocol, LABELS, PROTOCOLS, type Row } from "./facts.ts";

/** What the scraper fetches. */
const target = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () =>
    new Response(expositionText("scraped", 'op="get"'), { headers: { "content-type": "text/plain" } }),
});
afterAll(() => target.stop(true));

const start = (data: string, isScraping: boolean) =>
  GatewayProcess.start({
    data,
    args: [
      "--no-sampler",
      "--statsd-listen=127.0.0.1:0",
      "--graphite-listen=127.0.0.1:0",
      "--otlp-grpc-listen=127.0.0.1:0",
      "--influx-events=influx_took",
      ...(isScraping ? [`--scrape=${target.url}metrics,job=facts,instance=w-1,interval=1s,timeout=1s`] : []),
    ],
  });

/** Starts a gateway. Its services listen before it announces its addresses. */
async function addressesOf(gateway: GatewayProcess): Promise<Addresses> {
  const announced = /listens on (.*)\n/;
  await until("the addresses", () => announced.test(gateway.log.text));
  const urls = announced.exec(gateway.log.text)![1]!.split(", ");
  const of = (scheme: string) => urls.find((url) => url.startsWith(`${scheme}:`))!;
  const tcp = of("tcp");
  // Graphite has UDP too, at the port that it has for TCP.
  const udp = urls.find((url) => url.startsWith("udp:") && url !== tcp.replace("tcp:", "udp:"))!;
  return { http: of("http"), grpc: of("grpc"), tcp, udp };
}

async function sql(url: string, statement: string): Promise<unknown[][]> {
  const answer = await fetch(`${url}/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const { rows, error } = (await answer.json()) as { rows: Record<string, unknown>[]; error?: unknown };
  expect(error).toBeUndefined();
  return rows.map((row) => Object.values(row));
}

/** The distinct rows of a protocol, and how often each is stored. */
async function rowsOf(url: string, { name }: FactProtocol): Promise<{ rows: Row[]; times: Set<number> }> {
  const found = await sql(
    url,
    `SELECT metric, kind, labels['le'] AS le, value, count(*)::INTEGER AS times,
       labels['job'] AS job, labels['instance'] AS instance, labels['op'] AS op, len(map_keys(labels)) - (le IS NOT NULL)::INTEGER AS labels
     FROM samples JOIN metrics USING (metric) WHERE metric LIKE '${name}\\_%' ESCAPE '\\'
     GROUP BY ALL ORDER BY metric, le`,
  );
  for (const [metric, , , , , job, instance, op, labels] of found)
    expect([metric, { instance, job, op }, labels]).toEqual([metric, LABELS, 3]);
  return {
    rows: found.map((row) => row.slice(0, 4) as unknown as Row),
    times: new Set(found.map((row) => row[4] as number)),
  };
}

/** The value of an expression with one series, at an instant that is after all samples. */
async function evaluate(
  url: string,
  expression: string,
  seconds: number,
): Promise<[labels: object, value: number]> {
  // Increments are seen at multiples of 15 seconds.
  const time = Math.ceil(seconds / 15) * 15 + 15;
  const query = `query=${encodeURIComponent(expression)}&time=${time}`;
  const answer = await fetch(`${url}/api/v1/query?${query}`);
  const { data } = (await answer.json()) as {
    data: { result: { metric: object; value: [number, string] }[] };
  };
  expect([expression, data.result.length]).toEqual([expression, 1]);
  const { metric, value } = data.result[0]!;
  const { __name__: _, ...labels } = metric as Record<string, string>;
  return [labels, Number(value[1])];
}

/** SQL and PromQL have the facts of a protocol. */
async function expectFacts(url: string, protocol: FactProtocol, pushedAt: number): Promise<void> {
  const { name } = protocol;
  expect((await rowsOf(url, protocol)).rows).toEqual(protocol.rows(name));
  const [[first, last]] = (await sql(
    url,
    `SELECT min(epoch(ts)), max(epoch(ts)) FROM samples WHERE metric LIKE '${name}\\_%' ESCAPE '\\'`,
  )) as [[number, number]];
  if (protocol.hasTime) expect([name, first, last]).toEqual([name, pushedAt, pushedAt]);
  else expect([name, first >= pushedAt]).toEqual([name, true]);
  expect(await evaluate(url, protocol.counter(name), last)).toEqual([LABELS, 3]);
  expect(await evaluate(url, `${name}_level`, last)).toEqual([LABELS, 21.5]);
  if (protocol.hasHistogram) {
    expect(await evaluate(url, `${name}_took_ms_count`, last)).toEqual([LABELS, 1]);
    expect(await evaluate(url, `${name}_took_ms_sum`, last)).toEqual([LABELS, 250]);
    expect(await evaluate(url, `histogram_quantile(1, ${name}_took_ms_bucket)`, last)).toEqual([LABELS, 250]);
  } else expect(await evaluate(url, `${name}_took_ms`, last)).toEqual([LABELS, 250]);
}

/** Pushes, and waits for the acknowledgement, or for the rows if the protocol has none. */
async function pushed(to: Addresses, protocol: FactProtocol, seconds: number): Promise<void> {
  await protocol.push(protocol.name, to, seconds);
  if (protocol.isAcknowledged) return;
  const { length } = protocol.rows(protocol.name);
  await until(
    `the rows of ${protocol.name}`,
    async () => (await rowsOf(to.http, protocol)).rows.length === length,
  );
}

/** The samples of a protocol that were dropped because they are stored already. */
async function duplicates(url: string, protocol: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text
    .split("\n")
    .find((each) => each.startsWith(`weir_samples_duplicate_total{protocol="${protocol}"}`));
  return Number(line?.split(" ")[1] ?? 0);
}

const nowSeconds = () => Math.floor(Date.now() / 1000);

test("every protocol that the gateway has pushes the facts", () => {
  const named = { victoria_metrics: "victoria", scrape: "scraped" } as Readonly<Record<string, string>>;
  const missing = RECEIVERS.map(({ protocol }) => named[protocol.name] ?? protocol.name).filter(
    (name) => !PROTOCOLS.some((each) => each.name.startsWith(name)),
  );
  expect(missing).toEqual([]);
});

describe("facts that are pushed to one gateway", () => {
  let gateway: GatewayProcess;
  let seconds: number;
  beforeAll(async () => {
    gateway = await start(temporaryFolder(), true);
    const to = await addressesOf(gateway);
    seconds = nowSeconds();
    for (const protocol of PROTOCOLS) await pushed(to, protocol, seconds);
  });
  afterAll(() => gateway.stop("SIGKILL"));

  test.each(PROTOCOLS.map((protocol) => [protocol.name, protocol] as const))(
    "by %s are the same rows in SQL and the same values in PromQL",
    async (_, protocol) => {
      await expectFacts(gateway.url, protocol, seconds);
    },
  );
});

describe("a kill -9 right after the acknowledgement", () => {
  const data = temporaryFolder();
  /** The gateway that was started after the kill before. */
  let gateway: GatewayProcess | undefined;
  afterAll(() => gateway?.stop("SIGKILL"));
  const killed = async () => {
    await gateway?.stop("SIGKILL");
    gateway = undefined;
  };
  // What is scraped comes first, because only the first gateway scrapes.
  const protocols = PROTOCOLS.toSorted((a, b) => Number(b.retry === "none") - Number(a.retry === "none"));

  test.each(protocols.map((protocol) => [protocol.name, protocol] as const))(
    "by %s loses nothing, and a push that is sent again afterwards is told apart if the protocol allows it",
    async (name, protocol) => {
      gateway ??= await start(data, protocol.retry === "none");
      const seconds = nowSeconds();
      await pushed(await addressesOf(gateway), protocol, seconds);
      await killed();

      gateway = await start(data, false);
      const { url } = gateway;
      await expectFacts(url, protocol, seconds);
      if (protocol.retry === "none") return;
      await protocol.push(name, await addressesOf(gateway), seconds);
      const wanted = new Set([protocol.retry === "once" ? 1 : 2]);
      const isStored = async () => (await rowsOf(url, protocol)).times.isSupersetOf(wanted);
      const isDropped = async () => (await duplicates(url, name)) === protocol.rows(name).length;
      const isUnheard = !protocol.isAcknowledged && protocol.retry === "once";
      await until(`the second push of ${name}`, isUnheard ? isDropped : isStored);
      const { rows, times } = await rowsOf(url, protocol);
      expect(rows).toEqual(protocol.rows(name));
      // A level has one value per time, so that only increments and measurements can be added twice.
      expect(times).toEqual(protocol.retry === "added" ? new Set([1, 2]) : wanted);
      const [, jobs] = await evaluate(url, protocol.counter(name), nowSeconds());
      expect(jobs).toBe(protocol.retry === "added" ? 6 : 3);
    },
  );
});
