/** The settings of the sampler, a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;

const SAMPLER_PARTS = ["host", "process", "disks", "network", "containers", "gpu", "gateway"] as const;

export const SAMPLER_SETTINGS = {
  sampler: {
    type: { is: "flag" },
    default: true,
    what: "Samples the metrics of this machine: its load, disks, network, containers and GPUs.",
    why: "A gateway beside the workers sees the machine that they run on.",
  },
  samplerParts: {
    type: { is: "choices", of: SAMPLER_PARTS },
    default: SAMPLER_PARTS,
    what: "The parts of the machine that are sampled. `gateway` stores the gateway's own metrics, for queries.",
    why: "A part that does not exist costs nothing.",
  },
  samplerHostIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 15 * second,
    what: "Time between two samples of the host, the process and the network.",
    why: "Prometheus's usual scrape interval.",
  },
  samplerGpuIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 15 * second,
    what: "Time between two samples of the GPUs.",
    why: "Each sample starts a process and takes some 0.1 s.",
  },
  samplerGpuProcesses: {
    type: { is: "flag" },
    default: false,
    what: "Samples the memory that each process uses on a GPU, as `gpu_process_memory_bytes`.",
    why: "Each process is a series. A machine that starts many processes has many series.",
  },
  samplerDisksIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time between two samples of file systems and disks.",
    why: "Disks fill up within minutes, not seconds.",
  },
  samplerContainersIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 30 * second,
    what: "Time between two samples of the containers.",
    why: "The container engine computes each answer over a second or two.",
  },
} as const satisfies Record<string, Setting>;
