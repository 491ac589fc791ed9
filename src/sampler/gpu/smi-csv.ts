/**
 * Cards from `nvidia-smi --query-gpu=… --format=csv`, for machines whose XML cannot be used. It has the five
 * values that every driver supports, because a query with one unknown field is rejected whole.
 */
import { quote } from "../../model/errors.ts";
import { type Gpu, type GpuOutput, gpuMetrics, type InUnit, inUnit, known } from "./gpu-metrics.ts";

const FIELDS: readonly (readonly [query: string, metric: keyof typeof gpuMetrics, read: InUnit])[] = [
  ["utilization.gpu", "utilization", inUnit.percent],
  ["memory.used", "memoryUsed", inUnit.mebibytes],
  ["memory.total", "memoryTotal", inUnit.mebibytes],
  ["temperature.gpu", "temperature", inUnit.celsius],
  ["power.draw", "power", inUnit.watts],
];

/** The name is last, because only a name can contain a comma. */
const QUERY = ["index", "uuid", ...FIELDS.map(([query]) => query), "name"];

export const CSV_ARGUMENTS = [`--query-gpu=${QUERY.join(",")}`, "--format=csv,noheader,nounits"];

/**
 * Reads one line per card. Any other line, such as a warning of the driver or a lost card, is listed in
 * `unread`, quoted. Some wrappers write the header although the query disables it. It is skipped.
 */
export function readGpuCsv(text: string): GpuOutput {
  const gpus: Gpu[] = [];
  const unread: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "" || /^no devices were found|^index, *uuid/i.test(line)) continue;
    const fields = line.split(",").map((field) => field.trim());
    if (fields.length < QUERY.length || !/^\d+$/.test(fields[0])) {
      unread.push(quote(line.trim()));
      continue;
    }
    gpus.push({
      index: fields[0],
      uuid: known(fields[1]) ?? "",
      name: known(fields.slice(QUERY.length - 1).join(", ")) ?? "",
      readings: FIELDS.map(([, metric, read], column) => ({
        metric: gpuMetrics[metric],
        value: read(fields[column + 2]),
      })),
    });
  }
  return { gpus, unread };
}
