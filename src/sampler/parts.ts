/** Creates the parts that the settings name, as this platform supports them. */
import { containersPart } from "./containers.ts";
import { disksPart } from "./disks.ts";
import { gpuPart } from "./gpu/gpu.ts";
import { hostPart } from "./host.ts";
import { networkPart } from "./network.ts";
import { PART_NAMES, type Part, type PartName } from "./part.ts";
import { portableDisksPart, portableHostPart, portableNetworkPart } from "./portable.ts";
import { processPart } from "./process.ts";

interface PartsOptions {
  readonly names: readonly PartName[];
  /** The interval of the host, the process and the network. */
  readonly hostIntervalMs: number;
  readonly gpuIntervalMs: number;
  /** Whether the memory of each process on a GPU is sampled. */
  readonly hasGpuProcesses?: boolean;
  readonly disksIntervalMs: number;
  readonly containersIntervalMs: number;
  /** The default is process.platform. */
  readonly platform?: NodeJS.Platform;
}

/** Creates the parts in the order of `PART_NAMES`, each once, even if it is named several times. */
export function createParts(options: PartsOptions): Part[] {
  const linux = (options.platform ?? process.platform) === "linux";
  const host = { intervalMs: options.hostIntervalMs };
  const disks = { intervalMs: options.disksIntervalMs };
  const make: Record<PartName, () => Part> = {
    host: () => (linux ? hostPart(host) : portableHostPart(host)),
    process: () => processPart(host),
    disks: () => (linux ? disksPart(disks) : portableDisksPart(disks)),
    network: () => (linux ? networkPart(host) : portableNetworkPart(host)),
    containers: () => containersPart({ intervalMs: options.containersIntervalMs }),
    gpu: () => gpuPart({ intervalMs: options.gpuIntervalMs, hasProcesses: options.hasGpuProcesses }),
  };
  return PART_NAMES.filter((name) => options.names.includes(name)).map((name) => make[name]());
}
