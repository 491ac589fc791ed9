/**
 * The metrics of a GPU, and a card as both outputs of nvidia-smi describe it. Units are base units: bytes,
 * hertz, watts, ratios of 1.
 */
import { cumulative, type Definition, gauge } from "../batch.ts";

/** Labels of every metric of a card. `gpu` is nvidia-smi's index. */
const GPU = ["gpu", "uuid", "name"];

/** Each has the labels of the card, then those of the reading. */
export const gpuMetrics = {
  utilization: gauge("gpu_utilization_ratio", "Share of the time in which a kernel ran on the GPU.", GPU),
  memoryUtilization: gauge(
    "gpu_memory_utilization_ratio",
    "Share of the time in which the GPU read or wrote its memory.",
    GPU,
  ),
  memoryUsed: gauge("gpu_memory_used_bytes", "Memory of the GPU in use.", GPU),
  memoryTotal: gauge("gpu_memory_total_bytes", "Memory of the GPU.", GPU),
  temperature: gauge("gpu_temperature_celsius", "Temperature of the GPU's core.", GPU),
  memoryTemperature: gauge("gpu_memory_temperature_celsius", "Temperature of the GPU's memory.", GPU),
  power: gauge("gpu_power_watts", "Power that the GPU draws.", GPU),
  powerLimit: gauge("gpu_power_limit_watts", "Limit on the power that the GPU draws.", GPU),
  clock: gauge("gpu_clock_hertz", "Current clock of a part of the GPU.", [...GPU, "clock"]),
  clockMax: gauge("gpu_clock_max_hertz", "Highest clock of a part of the GPU.", [...GPU, "clock"]),
  throttled: gauge(
    "gpu_throttled",
    "1 while the GPU lowers its clocks for this reason, else 0. Being idle is not a reason.",
    [...GPU, "reason"],
  ),
  eccErrors: cumulative(
    "gpu_ecc_errors_total",
    "Memory errors that ECC found since the driver was loaded, by whether it could correct them.",
    [...GPU, "type"],
  ),
  pcieGeneration: gauge("gpu_pcie_link_generation", "Current PCIe generation of the GPU's link.", GPU),
  pcieWidth: gauge("gpu_pcie_link_width_lanes", "Current number of PCIe lanes of the GPU's link.", GPU),
  performanceState: gauge(
    "gpu_performance_state",
    "Performance state of the GPU, from 0 (highest) to 15 (lowest).",
    GPU,
  ),
  fanSpeed: gauge("gpu_fan_speed_ratio", "Speed of the fan as a share of its highest.", GPU),
  processMemory: gauge("gpu_process_memory_bytes", "Memory of the GPU that a process uses.", [
    ...GPU,
    "pid",
    "process",
  ]),
} satisfies Record<string, Definition>;

export interface Gpu {
  /** nvidia-smi's number of the card. */
  readonly index: string;
  /** Empty if the driver does not report it. */
  readonly uuid: string;
  readonly name: string;
  readonly readings: readonly GpuReading[];
}

export interface GpuReading {
  readonly metric: Definition;
  /** In the unit of the metric. Undefined if the card has no such value. */
  readonly value: number | undefined;
  /** Values of the labels that the metric has in addition to those of the card. */
  readonly labels?: readonly string[];
}

/** The content of one output of nvidia-smi. */
export interface GpuOutput {
  readonly gpus: readonly Gpu[];
  /** Lines that do not describe a card, such as warnings. Empty if every line was parsed. */
  readonly unread: readonly string[];
}

const MEBIBYTE = 1024 * 1024;

/** Converts the text of a value to the unit of its metric. NaN if the text is not a number, such as `[N/A]`. */
export const inUnit = {
  percent: (text: string) => numberOf(text, "%") / 100,
  mebibytes: (text: string) => numberOf(text, "MiB") * MEBIBYTE,
  celsius: (text: string) => numberOf(text, "C"),
  watts: (text: string) => numberOf(text, "W"),
  megahertz: (text: string) => numberOf(text, "MHz") * 1e6,
  count: (text: string) => numberOf(text, ""),
  lanes: (text: string) => numberOf(text, "x"),
  state: (text: string) => numberOf(text.replace(/^P/, ""), ""),
};
export type InUnit = (text: string) => number;

/** The number in `text`, alone or before its unit. */
function numberOf(text: string, unit: string): number {
  const [, number, after] = /^(-?\d+(?:\.\d+)?)\s*(\S*)$/.exec(text.trim()) ?? [];
  return number !== undefined && (after === "" || after === unit) ? Number(number) : Number.NaN;
}

/**
 * The text, or undefined if nvidia-smi says that there is no value (`N/A`, `[Not Supported]`, `[Unknown
 * Error]`).
 */
export function known(text: string | undefined): string | undefined {
  return text === undefined || text === "" || text === "N/A" || /^\[.*\]$/.test(text) ? undefined : text;
}
