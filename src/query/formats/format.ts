/**
 * The contract of a format. A format turns the rows of a query into the bytes of an answer, piece by piece. So no whole
 * answer is in memory, and the event loop is blocked for at most one chunk of 2,048 rows.
 */
import type { QueryResult } from "../sql/sql-engine.ts";

export const FORMAT_NAMES = ["json", "ndjson", "csv", "table", "lines", "parquet"] as const;

export type FormatName = (typeof FORMAT_NAMES)[number];

export interface Format {
  readonly contentType: string;
  /**
   * The answer's bytes, UTF-8 if they are text. The first piece comes after the first rows, so that an error before
   * it can still become an error response. A caller that stops reading early must end the iterator.
   */
  encode(result: QueryResult): AsyncGenerator<Uint8Array | string, void, undefined>;
}

/** Types whose cells are numbers: `BIGINT`, `DOUBLE`, `DECIMAL(18,3)` … */
export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$/.test(type);
}
