/**
 * Containers, from the Docker Engine API on its unix socket (https://docs.docker.com/reference/api/engine/),
 * which Podman also provides. Names are cAdvisor's. Without the socket there are no samples. Each run checks
 * for it with one stat(2).
 */
import { stat } from "node:fs/promises";
import { quote } from "../model/errors.ts";
import { cumulative, gauge, type Reading } from "./batch.ts";
import type { Part, PartOptions } from "./part.ts";

const CONTAINER = ["name", "image"];
const INTERFACE = ["name", "image", "interface"];
const CPU = cumulative("container_cpu_usage_seconds_total", "CPU time of the container.", CONTAINER);
const MEMORY = gauge(
  "container_memory_usage_bytes",
  "Memory of the container, its file cache included.",
  CONTAINER,
);
const WORKING_SET = gauge(
  "container_memory_working_set_bytes",
  "Memory of the container without inactive file cache: what counts against its limit.",
  CONTAINER,
);
const MEMORY_LIMIT = gauge(
  "container_spec_memory_limit_bytes",
  "The container's memory limit; the host's memory where there is none.",
  CONTAINER,
);
const READS = cumulative(
  "container_fs_reads_bytes_total",
  "Bytes that the container read from disks.",
  CONTAINER,
);
const WRITES = cumulative(
  "container_fs_writes_bytes_total",
  "Bytes that the container wrote to disks.",
  CONTAINER,
);
const traffic = (name: string, help: string) =>
  cumulative(`container_network_${name}_total`, help, INTERFACE);
/** Metrics by field of an interface in the engine's answer. */
const TRAFFIC = {
  rx_bytes: traffic("receive_bytes", "Bytes that the container received."),
  rx_packets: traffic("receive_packets", "Packets that the container received."),
  rx_errors: traffic("receive_errors", "Packets that the container received with an error."),
  rx_dropped: traffic("receive_packets_dropped", "Packets to the container that were dropped."),
  tx_bytes: traffic("transmit_bytes", "Bytes that the container sent."),
  tx_packets: traffic("transmit_packets", "Packets that the container sent."),
  tx_errors: traffic("transmit_errors", "Packets that the container could not send because of an error."),
  tx_dropped: traffic("transmit_packets_dropped", "Packets from the container that were dropped."),
};

/** The fields of `GET /containers/json` that are read. */
interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
}

/**
 * The fields of `GET /containers/{id}/stats` that are read. Each may be absent, as for a container that just
 * ended.
 */
interface Stats {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number };
  };
  readonly networks?: { readonly [name: string]: { readonly [Field in keyof typeof TRAFFIC]?: number } };
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null;
  };
}

/** Adds the samples of one container from the engine's answer. */
export function addContainer(reading: Reading, name: string, image: string, stats: Stats): void {
  const cpuNanoseconds = stats.cpu_stats?.cpu_usage?.total_usage;
  reading.add(CPU, cpuNanoseconds === undefined ? undefined : cpuNanoseconds / 1e9, name, image);
  const { usage, limit, stats: pages } = stats.memory_stats ?? {};
  reading.add(MEMORY, usage, name, image);
  if (usage !== undefined) {
    // `total_…` exists in version 1 of control groups, where the plain field leaves out sub-groups.
    const inactive = pages?.total_inactive_file ?? pages?.inactive_file ?? 0;
    reading.add(WORKING_SET, Math.max(0, usage - inactive), name, image);
  }
  reading.add(MEMORY_LIMIT, limit, name, image);
  for (const [device, counters] of Object.entries(stats.networks ?? {})) {
    for (const [field, definition] of Object.entries(TRAFFIC)) {
      reading.add(definition, counters[field as keyof typeof TRAFFIC], name, image, device);
    }
  }
  const transfers = stats.blkio_stats?.io_service_bytes_recursive;
  if (transfers !== null && transfers !== undefined) {
    // One entry per device and operation. Version 1 writes `Read`, and version 2 `read`.
    const total = (operation: string) =>
      transfers.filter(({ op }) => op.toLowerCase() === operation).reduce((sum, { value }) => sum + value, 0);
    reading.add(READS, total("read"), name, image);
    reading.add(WRITES, total("write"), name, image);
  }
}

/** The engine takes some milliseconds per request. Four at a time leave it free for other clients. */
const QUESTIONS_AT_ONCE = 4;
/** A host with more containers would spend its time on these requests. */
const CONTAINERS_MAX = 500;

interface ContainersOptions extends PartOptions {
  readonly socketPath?: string;
}

export function containersPart({ intervalMs, socketPath = "/var/run/docker.sock" }: ContainersOptions): Part {
  /** The engine's answer, or undefined if the container does not exist (any more). */
  async function get(path: string, signal: AbortSignal): Promise<unknown> {
    // The host is not resolved, because the socket is the address.
    const response = await fetch(`http://localhost${path}`, { unix: socketPath, signal });
    if (response.status === 404 || response.status === 409) return undefined;
    if (!response.ok) {
      throw new Error(
        `the container engine answered ${response.status} to ${path}: ${quote(await response.text())}`,
      );
    }
    return response.json();
  }

  async function addStats(reading: Reading, container: Listed, signal: AbortSignal): Promise<void> {
    // `one-shot` (API version 1.41 and later) avoids the second that the engine otherwise waits for a second
    // reading.
    const stats = await get(`/containers/${container.Id}/stats?stream=false&one-shot=true`, signal);
    if (stats === undefined) return; // It ended in between.
    const name = (container.Names[0] ?? container.Id.slice(0, 12)).replace(/^\//, "");
    addContainer(reading, name, container.Image, stats as Stats);
  }

  return {
    name: "containers",
    intervalMs,
    async collect(reading, signal) {
      const socket = await stat(socketPath).catch(() => undefined);
      if (socket === undefined || !socket.isSocket()) return;
      const listed = await get("/containers/json", signal);
      if (!Array.isArray(listed)) {
        throw new Error(`the container engine's list of containers is ${quote(listed)}, not an array`);
      }
      const waiting = (listed as Listed[]).slice(0, CONTAINERS_MAX);
      const failures: unknown[] = [];
      const ask = async () => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          // An error of one container does not affect the others.
          await addStats(reading, next, signal).catch((error: unknown) => failures.push(error));
          signal.throwIfAborted();
        }
      };
      await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, ask));
      if (failures.length > 0) throw failures[0];
      if (listed.length > CONTAINERS_MAX) {
        throw new Error(
          `there are ${listed.length} containers, and only ${CONTAINERS_MAX} of them are sampled`,
        );
      }
    },
  };
}
