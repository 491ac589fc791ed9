/**
 * The configuration for Prometheus in Kubernetes, run by vmagent against a stand-in for the API of a cluster: which gateways it
 * finds, and with which labels. The Prometheus of Debian is built without this discovery.
 */
import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { temporaryFolder } from "../../temporary-folder.ts";

const SHIPPED = join(import.meta.dir, "../../../scripts/deploy/prometheus/kubernetes.yml");
const GATEWAY = { "app.kubernetes.io/name": "weir" };
/** Nothing answers there: which targets are found is asked, and not what they expose. */
const PORT = 1;

function pod(name: string, labels: Record<string, string>, portName = "http", phase = "Running") {
  return {
    metadata: { name, namespace: "metrics", uid: name, labels, annotations: {} },
    spec: {
      nodeName: "node-1",
      containers: [{ name: "main", ports: [{ name: portName, containerPort: PORT, protocol: "TCP" }] }],
    },
    status: { phase, podIP: "127.0.0.2", hostIP: "127.0.0.2" },
  };
}

function service(name: string) {
  return {
    metadata: { name, namespace: "metrics", labels: GATEWAY },
    spec: { type: "ClusterIP", ports: [{ name: "http", port: PORT, protocol: "TCP" }] },
  };
}

function slice(serviceName: string, endpoint: object) {
  return {
    metadata: {
      name: `${serviceName}-1`,
      namespace: "metrics",
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: "IPv4",
    endpoints: [{ conditions: { ready: true }, ...endpoint }],
    ports: [{ name: "http", port: PORT, protocol: "TCP" }],
  };
}

const OBJECTS: Readonly<Record<string, readonly object[]>> = {
  pods: [
    pod("weir-0", GATEWAY),
    pod("weir-of-yesterday", GATEWAY, "http", "Succeeded"),
    pod("weir-grpc", GATEWAY, "grpc"),
    pod("other-0", { "app.kubernetes.io/name": "other" }),
  ],
  services: [service("weir"), service("weir-outside")],
  endpointslices: [
    slice("weir", {
      addresses: ["127.0.0.2"],
      targetRef: { kind: "Pod", name: "weir-0", namespace: "metrics" },
    }),
    slice("weir-outside", { addresses: ["127.0.0.3"] }),
  ],
};

const cluster = Bun.serve({
  port: 0,
  idleTimeout: 0,
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    // Nothing changes: the stream of changes stays open and empty.
    if (searchParams.has("watch")) return new Response(new ReadableStream({ start: () => undefined }));
    const items = OBJECTS[pathname.slice(pathname.lastIndexOf("/") + 1)] ?? [];
    return Response.json({ metadata: { resourceVersion: "1" }, items });
  },
});

afterAll(async () => {
  await cluster.stop(true);
});

interface Configuration {
  readonly global: Record<string, unknown>;
  readonly scrape_configs: { readonly kubernetes_sd_configs: Record<string, unknown>[] }[];
}

test.skipIf(Bun.which("vmagent") === null)("finds gateways in pods and outside, each once", async () => {
  const folder = temporaryFolder();
  const { global, scrape_configs } = parse(readFileSync(SHIPPED, "utf8")) as Configuration;
  for (const { kubernetes_sd_configs } of scrape_configs)
    for (const discovery of kubernetes_sd_configs) discovery.api_server = cluster.url.origin;
  // Rules and exemplars are Prometheus's own.
  delete global.evaluation_interval;
  const config = join(folder, "kubernetes.yml");
  writeFileSync(config, stringify({ global, scrape_configs }));
  const taken = Bun.serve({ port: 0, fetch: () => new Response() });
  const address = `127.0.0.1:${taken.port}`;
  await taken.stop(true);
  const agent = Bun.spawn(
    [
      "vmagent",
      `-promscrape.config=${config}`,
      `-httpListenAddr=${address}`,
      "-remoteWrite.url=http://127.0.0.1:1/",
      `-remoteWrite.tmpDataPath=${join(folder, "queue")}`,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  try {
    const labels = async () => {
      const answer = await fetch(`http://${address}/api/v1/targets`).catch(() => undefined);
      if (answer === undefined) return [];
      const { data } = (await answer.json()) as { data: { activeTargets: { labels: object }[] } };
      return data.activeTargets.map((target) => target.labels);
    };
    // Both jobs discover on their own.
    let found = await labels();
    while (found.length < 2 && agent.exitCode === null) {
      await Bun.sleep(50);
      found = await labels();
    }
    expect(found).toEqual(
      expect.arrayContaining([
        { instance: "metrics/weir-0", job: "weir", namespace: "metrics", node: "node-1" },
        { instance: `127.0.0.3:${PORT}`, job: "weir", namespace: "metrics" },
      ]),
    );
    expect(found).toHaveLength(2);
  } finally {
    agent.kill();
    await agent.exited;
  }
});
