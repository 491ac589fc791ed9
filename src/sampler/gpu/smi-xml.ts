/**
 * Cards from `nvidia-smi -q -x`: everything that the driver knows of each card and its processes, in one call.
 * If a driver lacks a value, its element is absent, so one reader supports all drivers. Elements that were
 * renamed are listed with the newest name first.
 */
import { parseXml, type XmlElement } from "@rgrove/parse-xml";
import { quote } from "../../model/errors.ts";
import {
  type Gpu,
  type GpuOutput,
  type GpuReading,
  gpuMetrics,
  type InUnit,
  inUnit,
  known,
} from "./gpu-metrics.ts";

export const XML_ARGUMENTS = ["-q", "-x"];

interface Place {
  readonly metric: keyof typeof gpuMetrics;
  readonly read: InUnit;
  /** The paths of the value in `<gpu>`. The first path with a value is used. */
  readonly paths: readonly string[];
  readonly labels?: readonly string[];
}

const PLACES: readonly Place[] = [
  { metric: "utilization", read: inUnit.percent, paths: ["utilization/gpu_util"] },
  { metric: "memoryUtilization", read: inUnit.percent, paths: ["utilization/memory_util"] },
  { metric: "memoryUsed", read: inUnit.mebibytes, paths: ["fb_memory_usage/used"] },
  { metric: "memoryTotal", read: inUnit.mebibytes, paths: ["fb_memory_usage/total"] },
  { metric: "temperature", read: inUnit.celsius, paths: ["temperature/gpu_temp"] },
  { metric: "memoryTemperature", read: inUnit.celsius, paths: ["temperature/memory_temp"] },
  {
    metric: "power",
    read: inUnit.watts,
    paths: [
      "gpu_power_readings/average_power_draw",
      "gpu_power_readings/power_draw",
      "gpu_power_readings/instant_power_draw",
      "power_readings/power_draw",
    ],
  },
  {
    metric: "powerLimit",
    read: inUnit.watts,
    paths: [
      "gpu_power_readings/current_power_limit",
      "power_readings/enforced_power_limit",
      "power_readings/power_limit",
    ],
  },
  ...["graphics", "sm", "mem", "video"].flatMap((part) => {
    const labels = [part === "mem" ? "memory" : part];
    return [
      { metric: "clock" as const, read: inUnit.megahertz, paths: [`clocks/${part}_clock`], labels },
      { metric: "clockMax" as const, read: inUnit.megahertz, paths: [`max_clocks/${part}_clock`], labels },
    ];
  }),
  {
    metric: "pcieGeneration",
    read: inUnit.count,
    paths: ["pci/pci_gpu_link_info/pcie_gen/current_link_gen"],
  },
  {
    metric: "pcieWidth",
    read: inUnit.lanes,
    paths: ["pci/pci_gpu_link_info/link_widths/current_link_width"],
  },
  { metric: "performanceState", read: inUnit.state, paths: ["performance_state"] },
  { metric: "fanSpeed", read: inUnit.percent, paths: ["fan_speed"] },
];

/** ECC counters since the driver was loaded: the parts of each total, with the names of the drivers. */
const ECC: readonly (readonly [type: string, alternatives: readonly (readonly string[])[]])[] = [
  ["corrected", [["sram_correctable", "dram_correctable"], ["single_bit/total"]]],
  [
    "uncorrected",
    [
      ["sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable"],
      ["sram_uncorrectable", "dram_uncorrectable"],
      ["double_bit/total"],
    ],
  ],
];

/**
 * Reads the document and the text around it. A malformed `<gpu>`, and each line outside the document, are
 * listed in `unread`. `hasProcesses` says whether to read memory by process.
 */
export function readGpuXml(text: string, hasProcesses: boolean): GpuOutput & { readonly attached: number } {
  const gpus: Gpu[] = [];
  const unread: string[] = [];
  const start = text.search(/<\?xml|<nvidia_smi_log/);
  const end = text.indexOf("</nvidia_smi_log>");
  const outside = start === -1 ? text : text.slice(0, start);
  const after = end === -1 ? "" : text.slice(end + "</nvidia_smi_log>".length);
  for (const line of `${outside}\n${after}`.split(/\r?\n/)) {
    if (line.trim() !== "") unread.push(quote(line.trim()));
  }
  // Card by card, so that a truncated or garbled one does not affect the others.
  let index = 0;
  for (const [block] of text.matchAll(/<gpu id="[^"]*">[\s\S]*?<\/gpu>/g)) {
    try {
      // nvidia-smi does not escape a process's name, which may contain an ampersand.
      const escaped = block.replaceAll(/&(?!(?:amp|lt|gt|quot|apos|#\w+);)/g, "&amp;");
      gpus.push(gpuOf(parseXml(escaped).root as XmlElement, index, hasProcesses));
    } catch (error) {
      unread.push(`card ${index}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
    index++;
  }
  return { gpus, unread, attached: Number(/<attached_gpus>(\d+)</.exec(text)?.[1] ?? 0) };
}

function gpuOf(element: XmlElement, index: number, hasProcesses: boolean): Gpu {
  const readings: GpuReading[] = PLACES.map(({ metric, read, paths, labels }) => ({
    metric: gpuMetrics[metric],
    value: paths.map((path) => read(textAt(element, path) ?? "")).find(Number.isFinite),
    labels,
  }));
  readings.push(...throttling(element), ...eccErrors(element));
  if (hasProcesses) readings.push(...processes(element));
  return {
    index: String(index),
    uuid: known(textAt(element, "uuid")) ?? "",
    name: known(textAt(element, "product_name")) ?? "",
    readings,
  };
}

/** `clocks_event_reason_NAME` is Active or Not Active. Drivers before 535 have `throttle` instead of `event`. */
function throttling(element: XmlElement): GpuReading[] {
  const reasons = childOf(element, "clocks_event_reasons") ?? childOf(element, "clocks_throttle_reasons");
  return childrenOf(reasons).flatMap((child) => {
    const reason = child.name.replace(/^clocks_(event|throttle)_reason_/, "");
    const value = { Active: 1, "Not Active": 0 }[child.text.trim()];
    if (reason === "gpu_idle" || value === undefined) return [];
    return [{ metric: gpuMetrics.throttled, value, labels: [reason] }];
  });
}

function eccErrors(element: XmlElement): GpuReading[] {
  return ECC.map(([type, alternatives]) => {
    const sums = alternatives.map((parts) =>
      parts.reduce(
        (sum, part) => sum + inUnit.count(textAt(element, `ecc_errors/volatile/${part}`) ?? ""),
        0,
      ),
    );
    return { metric: gpuMetrics.eccErrors, value: sums.find(Number.isFinite), labels: [type] };
  });
}

function processes(element: XmlElement): GpuReading[] {
  return childrenOf(childOf(element, "processes")).map((child) => ({
    metric: gpuMetrics.processMemory,
    value: inUnit.mebibytes(textAt(child, "used_memory") ?? ""),
    labels: [textAt(child, "pid") ?? "", textAt(child, "process_name") ?? ""],
  }));
}

function childrenOf(element: XmlElement | undefined): XmlElement[] {
  return (element?.children ?? []).filter((child): child is XmlElement => child.type === "element");
}

function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return childrenOf(element).find((child) => child.name === name);
}

/** The text of the element at a path of names below `element`. */
function textAt(element: XmlElement, path: string): string | undefined {
  let at: XmlElement | undefined = element;
  for (const name of path.split("/")) at = childOf(at, name);
  return at?.text.trim();
}
