/** A store is opened with the memory that the settings give the engine, however many series it has. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { openStore } from "../../src/store/open-store.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const LAST_ID = 59_999;
/** The labels of all series take more than the engine may use. */
const LABEL_LENGTH = 1_500;
const MEMORY_BYTES = 64e6;

test(
  "series whose labels take more than the engine's memory are all read at a start",
  async () => {
    const folder = temporaryFolder();
    const options = {
      path: join(folder, "store.duckdb"),
      threads: 1,
      temporaryDirectory: join(folder, "tmp"),
    };
    const { store } = await openStore({ ...options, memoryLimitBytes: 2 ** 28, counters: createCounters() });
    const filling = await store.reader();
    // Every third id has no series any more.
    await filling.all(
      `INSERT INTO weir.series (series_id, metric, kind, labels, exposed)
       SELECT range, 'depth', 'gauge', MAP {'path': rpad(range::VARCHAR || '/', ${LABEL_LENGTH}, 'x')}, true
       FROM range(1, ${LAST_ID + 1}) WHERE range % 3 <> 0 OR range = ${LAST_ID}`,
    );
    filling.close();
    await store.close();

    const opened = await openStore({
      ...options,
      memoryLimitBytes: MEMORY_BYTES,
      counters: createCounters(),
    });
    await opened.store.close();
    const series = opened.stored.series.read();
    const ids = Array.from({ length: LAST_ID }, (_, at) => at + 1).filter(
      (id) => id % 3 !== 0 || id === LAST_ID,
    );
    expect(series.map(({ seriesId }) => seriesId)).toEqual(ids);
    expect(series.filter(({ seriesId, labels }) => !labels.get("path")!.startsWith(`${seriesId}/`))).toEqual(
      [],
    );
  },
  { timeout: 120_000 },
);
