/** Which panels can be drawn, and why others cannot. Pure. */
import type { PanelModel } from "./panel-model.ts";
import { reduceFaults } from "../fields/reduced-values.ts";

/** The types of panels that show answers. */
const ASKING = [
  ...["timeseries", "stat", "gauge", "bargauge", "table", "heatmap", "state-timeline", "status-history"],
] as const;
export type AskingPanelType = (typeof ASKING)[number];

/** They show one calculation over each series. */
const REDUCING = ["stat", "gauge", "bargauge"];

/** Why a panel cannot be drawn, as sentences. None if it can. */
export function panelFaults(panel: PanelModel): readonly string[] {
  const { type, faults, targets, options } = panel;
  if (type === "text") return [];
  if (!ASKING.some((each) => each === type))
    return [`It is of the type ${type}, which is not supported.`, ...faults];
  if (targets.length === 0) return faults.length > 0 ? faults : ["It has no question."];
  if (type === "heatmap" && options.calculate === true)
    return ["It computes its buckets from plain series, which is not supported."];
  return REDUCING.includes(type) ? reduceFaults(panel) : [];
}
