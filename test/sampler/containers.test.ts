/** The containers part, against a stand-in for the Docker Engine on a unix socket. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { containersPart } from "../../src/sampler/containers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { collect } from "./readings.ts";

// The stand-in answers as the Docker Engine API 1.47 does, with fewer fields.
const WEB = { Id: "a".repeat(64), Names: ["/web"], Image: "nginx:1.27", State: "running" };
const WEB_STATS = {
  read: "2024-01-01T00:00:00Z",
  cpu_stats: { cpu_usage: { total_usage: 12_345_678_900, usage_in_usermode: 1 }, online_cpus: 2 },
  precpu_stats: { cpu_usage: { total_usage: 0 } },
  memory_stats: {
    usage: 73_400_320,
    limit: 536_870_912,
    stats: { inactive_file: 20_971_520, active_file: 4096 },
  },
  networks: {
    eth0: {
      rx_bytes: 5338,
      rx_packets: 36,
      rx_errors: 1,
      rx_dropped: 2,
      tx_bytes: 648,
      tx_packets: 8,
      tx_errors: 3,
      tx_dropped: 4,
    },
    eth1: { rx_bytes: 7, tx_bytes: 9 },
  },
  blkio_stats: {
    io_service_bytes_recursive: [
      { major: 254, minor: 0, op: "read", value: 4096 },
      { major: 254, minor: 0, op: "write", value: 8192 },
      { major: 254, minor: 16, op: "read", value: 1024 },
    ],
    io_serviced_recursive: null,
  },
};
// A database on a host with control groups of version 1, without a network.
const DATABASE = { Id: "b".repeat(64), Names: ["/db"], Image: "postgres:17", State: "running" };
const DATABASE_STATS = {
  cpu_stats: { cpu_usage: { total_usage: 500_000_000 } },
  memory_stats: { usage: 1000, limit: 4000, stats: { inactive_file: 1, total_inactive_file: 300 } },
  blkio_stats: {
    io_service_bytes_recursive: [
      { major: 8, minor: 0, op: "Read", value: 10 },
      { major: 8, minor: 0, op: "Write", value: 20 },
      { major: 8, minor: 0, op: "Sync", value: 30 },
      { major: 8, minor: 0, op: "Total", value: 30 },
    ],
  },
};

let folder: string;
let socketPath: string;
beforeEach(async () => {
  folder = temporaryFolder();
  socketPath = join(folder, "docker.sock");
});
afterEach(() => rm(folder, { recursive: true }));

/** Serves answers by path. Returns the requested paths. */
function serveEngine(answers: Record<string, unknown>): {
  asked: string[];
  [Symbol.asyncDispose](): Promise<void>;
} {
  const asked: string[] = [];
  const server = Bun.serve({
    unix: socketPath,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      asked.push(pathname + search);
      const answer = answers[pathname];
      if (answer instanceof Response) return answer;
      if (answer === undefined) return Response.json({ message: "No such container" }, { status: 404 });
      return Response.json(answer);
    },
  });
  return { asked, [Symbol.asyncDispose]: () => server.stop(true) };
}

test("reads each container's CPU, memory, disk transfers and network traffic, by name", async () => {
  await using engine = serveEngine({
    "/containers/json": [WEB, DATABASE],
    [`/containers/${WEB.Id}/stats`]: WEB_STATS,
    [`/containers/${DATABASE.Id}/stats`]: DATABASE_STATS,
  });
  const { values, error } = await collect(containersPart({ intervalMs: 30_000, socketPath }));
  expect(error).toBeUndefined();
  const web = 'image="nginx:1.27",name="web"';
  const database = 'image="postgres:17",name="db"';
  const eth0 = 'image="nginx:1.27",interface="eth0",name="web"';
  const eth1 = 'image="nginx:1.27",interface="eth1",name="web"';
  expect(values).toEqual({
    [`container_cpu_usage_seconds_total{${web}}`]: 12.3456789,
    [`container_memory_usage_bytes{${web}}`]: 73_400_320,
    [`container_memory_working_set_bytes{${web}}`]: 52_428_800,
    [`container_spec_memory_limit_bytes{${web}}`]: 536_870_912,
    [`container_fs_reads_bytes_total{${web}}`]: 5120,
    [`container_fs_writes_bytes_total{${web}}`]: 8192,
    [`container_network_receive_bytes_total{${eth0}}`]: 5338,
    [`container_network_receive_packets_total{${eth0}}`]: 36,
    [`container_network_receive_errors_total{${eth0}}`]: 1,
    [`container_network_receive_packets_dropped_total{${eth0}}`]: 2,
    [`container_network_transmit_bytes_total{${eth0}}`]: 648,
    [`container_network_transmit_packets_total{${eth0}}`]: 8,
    [`container_network_transmit_errors_total{${eth0}}`]: 3,
    [`container_network_transmit_packets_dropped_total{${eth0}}`]: 4,
    [`container_network_receive_bytes_total{${eth1}}`]: 7,
    [`container_network_transmit_bytes_total{${eth1}}`]: 9,
    [`container_cpu_usage_seconds_total{${database}}`]: 0.5,
    [`container_memory_usage_bytes{${database}}`]: 1000,
    [`container_memory_working_set_bytes{${database}}`]: 700,
    [`container_spec_memory_limit_bytes{${database}}`]: 4000,
    [`container_fs_reads_bytes_total{${database}}`]: 10,
    [`container_fs_writes_bytes_total{${database}}`]: 20,
  });
  expect(engine.asked).toContain(`/containers/${WEB.Id}/stats?stream=false&one-shot=true`);
});

test("does not fail if a container ends meanwhile or has no values", async () => {
  await using _engine = serveEngine({
    "/containers/json": [WEB, DATABASE],
    [`/containers/${DATABASE.Id}/stats`]: { cpu_stats: {}, memory_stats: {}, blkio_stats: {} },
  });
  expect(await collect(containersPart({ intervalMs: 30_000, socketPath }))).toEqual({
    values: {},
    error: undefined,
  });
});

test("neither fails nor has samples without a socket, or with a socket that no engine serves", async () => {
  const part = containersPart({ intervalMs: 30_000, socketPath });
  expect(await collect(part)).toEqual({ values: {}, error: undefined });
  await writeFile(socketPath, "");
  expect(await collect(part)).toEqual({ values: {}, error: undefined });
  await rm(socketPath);
  // The next run finds an engine that starts later.
  await using _engine = serveEngine({
    "/containers/json": [DATABASE],
    [`/containers/${DATABASE.Id}/stats`]: DATABASE_STATS,
  });
  expect(Object.keys((await collect(part)).values)).toHaveLength(6);
});

test("quotes an engine that fails, and keeps the containers that could be read", async () => {
  const part = containersPart({ intervalMs: 30_000, socketPath });
  {
    await using _engine = serveEngine({
      "/containers/json": Response.json({ message: "out of order" }, { status: 500 }),
    });
    const { error } = await collect(part);
    expect(error?.message).toBe(
      String.raw`the container engine answered 500 to /containers/json: "{\"message\":\"out of order\"}"`,
    );
  }
  await rm(socketPath, { force: true });
  {
    await using _engine = serveEngine({ "/containers/json": { message: "no list" } });
    expect((await collect(part)).error?.message).toContain("not an array");
  }
  await rm(socketPath, { force: true });
  await using _engine = serveEngine({
    "/containers/json": [WEB, DATABASE],
    [`/containers/${WEB.Id}/stats`]: new Response("broken", { status: 500 }),
    [`/containers/${DATABASE.Id}/stats`]: DATABASE_STATS,
  });
  const { values, error } = await collect(part);
  expect(error?.message).toContain("500");
  expect(values).toHaveProperty(['container_cpu_usage_seconds_total{image="postgres:17",name="db"}'], 0.5);
});

test("ends the request to an engine that does not answer when the run is aborted", async () => {
  const abort = new AbortController();
  const server = Bun.serve({
    unix: socketPath,
    fetch() {
      abort.abort(new Error("too late"));
      return new Promise<Response>(() => {});
    },
  });
  try {
    const { values, error } = await collect(containersPart({ intervalMs: 30_000, socketPath }), abort.signal);
    expect(values).toEqual({});
    expect(error).toBeDefined();
  } finally {
    await server.stop(true);
  }
});
