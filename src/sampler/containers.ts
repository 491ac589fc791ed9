/**
 * Containers, from the Docker Engine API on its unix socket (https://docs.docker.com/reference/api/engine/), which
 * Podman serves too. Names are cAdvisor's. No socket, no samples; that is looked at anew each time, with one stat(2).
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
/** By field of an interface in the engine's answer. */
const TRAFFIC = {
  rx_bytes: traffic("receive_bytes", "Bytes that the container received."),
  rx_packets: traffic("receive_packets", "Packets that the container received."),
  rx_errors: traffic("receive_errors", "Packets that the container received with an error."),
  rx_dropped: traffic("receive_packets_dropped", "Packets to the container that were dropped."),
  tx_bytes: traffic("transmit_bytes", "Bytes that the container sent."),
  tx_packets: traffic("transmit_packets", "Packets that the container sent."),
  tx_errors: traffic("transmit_errors", "Packets that the container could not send for an error."),
  tx_dropped: traffic("transmit_packets_dropped", "Packets from the container that were dropped."),
};

/** The fields that are read of `GET /containers/json`. */
interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
}

/** The fields that are read of `GET /containers/{id}/stats`; any may be absent, as with a container that just ended. */
export interface Stats {
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

/** Adds what an engine's answer says of one container. */
export function addContainer(reading: Reading, name: string, image: string, stats: Stats): void {
  const cpuNanoseconds = stats.cpu_stats?.cpu_usage?.total_usage;
  reading.add(CPU, cpuNanoseconds === undefined ? undefined : cpuNanoseconds / 1e9, name, image);
  const { usage, limit, stats: pages } = stats.memory_stats ?? {};
  reading.add(MEMORY, usage, name, image);
  if (usage !== undefined) {
    // `total_…` is of version 1 of control groups, where the plain one leaves sub-groups out.
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
    // One entry a device and operation; version 1 writes `Read`, version 2 `read`.
    const total = (operation: string) =>
      transfers.filter(({ op }) => op.toLowerCase() === operation).reduce((sum, { value }) => sum + value, 0);
    reading.add(READS, total("read"), name, image);
    reading.add(WRITES, total("write"), name, image);
  }
}

/** The engine works on each question for some milliseconds: a few at a time keep it free for others. */
const QUESTIONS_AT_ONCE = 4;
/** A host with more would spend its time answering. */
const CONTAINERS_MAX = 500;

export interface ContainersOptions extends PartOptions {
  readonly socketPath?: string;
}

export function containersPart({ intervalMs, socketPath = "/var/run/docker.sock" }: ContainersOptions): Part {
  /** The engine's answer, or undefined where it does not know the thing (any more). */
  async function get(path: string, signal: AbortSignal): Promise<unknown> {
    // The host is not looked up: the socket is the address.
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
    // `one-shot` (from version 1.41 of the API) spares the second that the engine else waits for a second reading.
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
          // One container that cannot be read leaves the others be.
          await addStats(reading, next, signal).catch((error: unknown) => failures.push(error));
          signal.throwIfAborted();
        }
      };
      await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, ask));
      if (failures.length > 0) throw failures[0];
      if (listed.length > CONTAINERS_MAX) {
        throw new Error(`there are ${listed.length} containers, of which ${CONTAINERS_MAX} are sampled`);
      }
    },
  };
}
