/**
 * What a format is: it turns the rows of a query into the bytes of an answer, piece by piece, so that no
 * answer is held in memory as a whole and the event loop is never blocked for longer than a chunk of 2,048 rows.
 */
import type { QueryResult } from "../sql/sql.ts";

export const FORMAT_NAMES = ["json", "ndjson", "csv", "table", "lines", "parquet"] as const;

export type FormatName = (typeof FORMAT_NAMES)[number];

export interface Format {
  readonly contentType: string;
  /**
   * The answer's bytes, UTF-8 where they are text. The first piece comes after the first rows, so that what
   * fails until then can still be told. Whoever stops reading early must end the iterator.
   */
  encode(result: QueryResult): AsyncGenerator<Uint8Array | string, void, undefined>;
}

/** Types whose cells are numbers: `BIGINT`, `DOUBLE`, `DECIMAL(18,3)` … */
export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$/.test(type);
}
