/** Prints the gateway's answers: the formats, and where the output goes. */
import { open, rename, rm } from "node:fs/promises";
import { type Io, UsageError } from "./command.ts";

export const FORMATS = ["table", "json", "ndjson", "csv", "lines", "parquet"] as const;
export type OutputFormat = (typeof FORMATS)[number];

/** The lines on formats for a command's usage. */
export const formatHelp = `  --format FORMAT    table (default), json, ndjson, csv, lines or parquet
  --output FILE      write to this file, which appears when it is complete; default: standard output`;

/** Throws `UsageError` for a format that a terminal cannot show. */
export function checkDestination(
  format: OutputFormat,
  path: string | undefined,
  io: Pick<Io, "stdout">,
): void {
  if (format !== "parquet" || path !== undefined || !io.stdout.isTerminal) return;
  throw new UsageError("A terminal cannot show Parquet: give --output FILE, or redirect the output.");
}

/** Writes pieces, or one text, to standard output, or to a file that gets its name when it is complete. */
export async function writeTo(
  path: string | undefined,
  content: AsyncIterable<Uint8Array> | string,
  io: Pick<Io, "stdout">,
): Promise<void> {
  const pieces = typeof content === "string" ? [content] : content;
  if (path === undefined) {
    for await (const piece of pieces) await io.stdout.write(piece);
    return;
  }
  if (path === "") throw new UsageError("--output is empty, expected a FILE.");
  const partPath = `${path}.part`;
  const file = await open(partPath, "w");
  try {
    for await (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(partPath, { force: true });
    throw error;
  }
  await file.close();
  await rename(partPath, path);
}
