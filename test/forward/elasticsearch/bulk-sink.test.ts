/** Elasticsearch as a destination: a server that creates documents by their ids, as `_bulk` does. */
import { afterEach, expect, test } from "bun:test";
import { NOON_MS } from "../../gateway.ts";
import { until } from "../../until.ts";
import { destinationTable, ForwardingGateway } from "../forwarding-gateway.ts";

interface Action {
  readonly create: { readonly _index: string; readonly _id: string };
}

let gateway: ForwardingGateway | undefined;
let server: Bun.Server<undefined> | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop(true);
  gateway = server = undefined;
});

/** What `_bulk` has stored: documents by index and id, and the requests. */
class BulkServer {
  readonly documents = new Map<string, Record<string, unknown>>();
  readonly requests: { readonly headers: Headers; readonly url: string; readonly events: number }[] = [];
  /** What becomes of a document before it is stored. Undefined: it is stored. */
  fate: (document: Record<string, unknown>, request: number) => object | undefined = () => undefined;
  /** The status of a request. 200 unless it says something else. It is stored if the status is 200 or 502. */
  status: (request: number, events: number) => number = () => 200;

  async answer(request: Request): Promise<Response> {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const text = new TextDecoder().decode(
      request.headers.get("content-encoding") === "gzip" ? Bun.gunzipSync(bytes) : bytes,
    );
    expect(text.endsWith("\n")).toBe(true);
    const lines = text.trimEnd().split("\n");
    const number = this.requests.length;
    this.requests.push({ headers: request.headers, url: request.url, events: lines.length / 2 });
    const status = this.status(number, lines.length / 2);
    if (status !== 200 && status !== 502) return new Response("no", { status });
    const items = [];
    for (let at = 0; at < lines.length; at += 2) {
      const { create } = JSON.parse(lines[at]!) as Action;
      const document = JSON.parse(lines[at + 1]!) as Record<string, unknown>;
      const key = `${create._index}/${create._id}`;
      const fate = this.documents.has(key)
        ? {
            status: 409,
            error: { type: "version_conflict_engine_exception", reason: "document already exists" },
          }
        : this.fate(document, number);
      if (fate === undefined) this.documents.set(key, document);
      items.push({ create: { ...create, ...(fate ?? { status: 201 }) } });
    }
    if (status === 502) return new Response("lost", { status });
    return Response.json({ took: 1, errors: items.some(({ create }) => "error" in create), items });
  }
}

function serve(): BulkServer {
  const bulk = new BulkServer();
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => bulk.answer(request) });
  return bulk;
}

const table = (more: Record<string, unknown> = {}) =>
  destinationTable({ name: "es", type: "elasticsearch", url: `${server!.url.href}_bulk`, ...more });

const EVENTS = [
  {
    "@timestamp": NOON_MS - 5_000,
    metric_name: "http.request.duration_ms",
    value: 234.56,
    tags: { operation: "get_task", task_id: "1704067200_abc123", url: "https://a.example/x" },
  },
  {
    "@timestamp": NOON_MS - 4_000,
    metric_name: "upload.size_bytes",
    value: 342,
    tags: { task_id: "t", upload_type: "inline" },
  },
];

test("an event is no stale marker because a tag has such a name and value", async () => {
  const bulk = serve();
  gateway = await ForwardingGateway.openWith(table());
  const like = { ...EVENTS[0]!, metric_name: 'a"b\\', tags: { a: "1", value: "stale", zone: "z" } };
  const stale = { "@timestamp": NOON_MS, metric_name: 'a"b\\', type: "gauge", value: "stale", tags: {} };
  await gateway.post(JSON.stringify([like, { ...stale, metric_name: "g" }]));
  await gateway.sent("es");
  expect([...bulk.documents.values()]).toEqual([like] as never);
});

test("documents have the shape of the metric files of workers, in the index of their day", async () => {
  const bulk = serve();
  gateway = await ForwardingGateway.openWith(
    table({ api_key: "geheim", index: "worker-metrics-%{+YYYY.MM.dd}" }),
  );
  const yesterday = { ...EVENTS[1]!, "@timestamp": NOON_MS - 86_400_000 };
  await gateway.post(JSON.stringify([...EVENTS, yesterday]));
  await gateway.sent("es");
  const found = [...bulk.documents].map(([key, document]) => [key.split("/")[0], document] as const);
  expect(found.toSorted(([, a], [, b]) => Number(a["@timestamp"]) - Number(b["@timestamp"]))).toEqual([
    ["worker-metrics-2024.10.03", yesterday],
    ["worker-metrics-2024.10.04", EVENTS[0]],
    ["worker-metrics-2024.10.04", EVENTS[1]],
  ] as never);
  const { headers, url } = bulk.requests[0]!;
  expect(headers.get("authorization")).toBe("ApiKey geheim");
  expect(headers.get("content-type")).toBe("application/x-ndjson");
  expect(new URL(url).pathname).toBe("/_bulk");
});

test("a request whose answer was lost stores nothing twice, also after a restart, and equal events stay several", async () => {
  const bulk = serve();
  bulk.status = (request) => (request < 2 ? 502 : 200);
  gateway = await ForwardingGateway.openWith(table());
  await gateway.post(JSON.stringify([EVENTS[0], EVENTS[0], EVENTS[1]]));
  await until("a lost answer", () => bulk.requests.length > 0);
  await gateway.configure(table());
  await gateway.post(JSON.stringify([{ ...EVENTS[1]!, value: 7 }]));
  await gateway.sent("es");
  expect([...bulk.documents.values()].map(({ value }) => value as number).toSorted((a, b) => a - b)).toEqual([
    7, 234.56, 234.56, 342,
  ]);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="es",reason="refused"}')).toBe(0);
});

test("a document that is refused goes to the table of rejected samples, and one that waits is sent again alone", async () => {
  const bulk = serve();
  bulk.fate = ({ value }, request) => {
    if (value === 99)
      return {
        status: 400,
        error: { type: "document_parsing_exception", reason: "failed to parse field [value]" },
      };
    if (value === 342 && request === 0)
      return { status: 429, error: { type: "es_rejected_execution_exception", reason: "queue is full" } };
    return undefined;
  };
  gateway = await ForwardingGateway.openWith(table());
  await gateway.post(JSON.stringify([...EVENTS, { ...EVENTS[0]!, value: 99 }]));
  await gateway.sent("es");
  expect(bulk.requests.map(({ events }) => events)).toEqual([3, 1]);
  expect([...bulk.documents.values()].map(({ value }) => value)).toEqual([234.56, 342]);
  expect(await gateway.own('weir_forward_samples_total{destination="es"}')).toBe(2);
  await until("the rejected sample", async () => {
    const rows = await gateway!.query("SELECT metric, reason FROM weir.rejected");
    expect(rows).toEqual([
      {
        metric: "http.request.duration_ms",
        reason:
          "es: the destination refused it: 400: document_parsing_exception: failed to parse field [value]",
      },
    ]);
    return true;
  });
});

test("a request that is too large is divided", async () => {
  const bulk = serve();
  bulk.status = (_, events) => (events > 3 ? 413 : 200);
  gateway = await ForwardingGateway.openWith(table());
  await gateway.post(JSON.stringify(Array.from({ length: 10 }, (_, value) => ({ ...EVENTS[1]!, value }))));
  await gateway.sent("es");
  expect([...bulk.documents.values()].map(({ value }) => value as number).toSorted()).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ]);
});

test("an answer that is not Elasticsearch's is an error, and the events are sent again", async () => {
  const bulk = serve();
  let isPortal = true;
  await server!.stop(true);
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (!isPortal) return bulk.answer(request);
      isPortal = false;
      return new Response("<html>a portal</html>");
    },
  });
  gateway = await ForwardingGateway.openWith(table());
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("es");
  expect(bulk.documents.size).toBe(2);
});
