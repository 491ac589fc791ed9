/**
 * Appends rows as events to a file, in the shape of the metric files of workers. The size of the file is noted before rows are
 * appended. After a kill, the file is cut to that size and the rows are appended again, so each row is there once.
 */
import { open, stat } from "node:fs/promises";
import type { DestinationStatus } from "../sending/destination-status.ts";
import type { EventLines } from "./row-event-lines.ts";
import type { RowSink, SentRows } from "./row-lanes.ts";

const ROWS_MAX = 10_000;

interface NdjsonSinkParts {
  readonly path: string;
  readonly lines: Pick<EventLines, "of">;
  readonly status: DestinationStatus;
}

export class NdjsonSink implements RowSink {
  readonly #parts: NdjsonSinkParts;
  readonly rowsMax = ROWS_MAX;

  constructor(parts: NdjsonSinkParts) {
    this.#parts = parts;
  }

  /** The size of the file before the rows. A file that does not exist, because it was rotated, has none. */
  readonly newKey = async (): Promise<string> => String((await sizeOf(this.#parts.path)) ?? 0);

  async send({ day, range, key, requireCurrent }: SentRows): Promise<void> {
    const { path, lines, status } = this.#parts;
    const { text, lines: count } = await lines.of(day, range);
    requireCurrent();
    const beginMs = performance.now();
    const file = await open(path, "a", 0o640);
    try {
      const before = Number(key);
      // Larger only if these rows were appended before a kill. A file that was rotated meanwhile is smaller.
      if ((await file.stat()).size > before) await file.truncate(before);
      await file.appendFile(text);
      await file.sync();
    } catch (error) {
      status.failed(error as Error);
      throw error;
    } finally {
      await file.close();
    }
    status.sent(count, Buffer.byteLength(text), (performance.now() - beginMs) / 1_000);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}
