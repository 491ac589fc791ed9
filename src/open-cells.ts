/** Connects the cells of events, which PromQL reads, with the store and with ingest. */
import { type Config, pickSettings } from "./config/config.ts";
import type { Log } from "./log/log.ts";
import { Unavailable } from "./model/errors.ts";
import { GridCells, type GridCellsOptions } from "./query/promql/cells/grid-cells.ts";
import { DiskFull } from "./store/disk-room.ts";

/** @param ingest what cells need of ingest, which is opened after them */
export function openCells(
  {
    config,
    log,
    ...parts
  }: Pick<GridCellsOptions, "store" | "registry" | "now"> & {
    readonly config: Config;
    readonly log: Log;
  },
  ingest: Required<Pick<GridCellsOptions, "atRest" | "newestUs">>,
): GridCells {
  return new GridCells({
    ...pickSettings(config, "observationStepMs", "seriesIdleMs"),
    ...parts,
    ...ingest,
    onFault: (error) => {
      // Both are known: one is logged elsewhere, and the other is a stop.
      if (error instanceof DiskFull || error instanceof Unavailable) return;
      log("cells_failed", { error: String(error) });
    },
  });
}
