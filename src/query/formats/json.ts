/**
 * JSON: `{"columns":[{"name","type"}],"rows":[{…}],"truncated":false}`, and NDJSON: one object per line.
 * Integers beyond 2^53, decimals, times and NaN are strings, so that no reader rounds them.
 */
import type { ResultColumn } from "../../store/store.ts";
import type { Chunk } from "../sql/sql-engine.ts";
import type { Format } from "./format.ts";

export const json: Format = {
  contentType: "application/json; charset=utf-8",
  async *encode(result) {
    const keys = keysOf(result.columns);
    let text = `{"columns":${JSON.stringify(result.columns)},"rows":[\n`;
    let chunk = await result.next();
    while (chunk !== undefined) {
      text += objects(chunk, keys).join(",\n");
      chunk = await result.next();
      if (chunk === undefined) break;
      yield `${text},\n`;
      text = "";
    }
    yield `${text}\n],"truncated":${result.truncated}}\n`;
  },
};

export const ndjson: Format = {
  contentType: "application/x-ndjson; charset=utf-8",
  async *encode(result) {
    const keys = keysOf(result.columns);
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
      yield `${objects(chunk, keys).join("\n")}\n`;
  },
};

function keysOf(columns: readonly ResultColumn[]): string[] {
  return columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
}

function objects(chunk: Chunk, keys: readonly string[]): string[] {
  return chunk.map((row) => {
    let text = "";
    for (let index = 0; index < keys.length; index++) text += keys[index]! + JSON.stringify(row[index]);
    return `${text}}`;
  });
}
