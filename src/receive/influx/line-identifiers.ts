/**
 * The values of a line that identify one event: tags and string fields such as `task_id`. They are columns of each of its
 * observations. Pure.
 */
import { quote } from "../../model/errors.ts";
import type { BatchBuilder } from "../../wire/batch-builder.ts";
import type { FieldSlot, SeriesSlot } from "./line-heads.ts";
import { type LineScanner, nameText, stringText } from "./line-scanner.ts";

/** Why the values cannot be stored: one is too long, or a name has two. Undefined if they can. */
export function wrongIdentifier(
  scanner: LineScanner,
  fields: readonly FieldSlot[],
  tagValueBytesMax: number,
): string | undefined {
  for (let id = 0; id < scanner.idCount; id++) {
    const bytes = scanner.idTo[id]! - scanner.idFrom[id]!;
    if (bytes > tagValueBytesMax) return tooLong(scanner.idColumn[id]!.name, bytes, tagValueBytesMax);
  }
  for (let field = 0; field < scanner.fieldCount; field++) {
    const { column, name } = fields[field]!;
    if (!scanner.isText[field] || column === undefined) continue;
    const bytes = scanner.textTo[field]! - scanner.textFrom[field]!;
    if (bytes > tagValueBytesMax) return tooLong(name, bytes, tagValueBytesMax);
    for (let id = 0; id < scanner.idCount; id++) if (scanner.idColumn[id] === column) return twice(name);
  }
  return undefined;
}

/** Sets the values for the next sample. */
export function setIdentifiers(
  builder: BatchBuilder,
  scanner: LineScanner,
  fields: readonly FieldSlot[],
  body: Buffer,
  { constants }: SeriesSlot,
): void {
  for (let id = 0; id < scanner.idCount; id++) {
    const column = scanner.idColumn[id]!;
    const from = scanner.idFrom[id]!;
    const to = scanner.idTo[id]!;
    if (scanner.idIsEscaped[id]) {
      const bytes = Buffer.from(nameText(body, from, to));
      builder.setAttribute(column, bytes, 0, bytes.length);
    } else builder.setAttribute(column, body, from, to);
  }
  for (let field = 0; field < scanner.fieldCount; field++) {
    if (!scanner.isText[field]) continue;
    const { column } = fields[field]!;
    const from = scanner.textFrom[field]!;
    const to = scanner.textTo[field]!;
    if (column === undefined || from === to) continue;
    if (scanner.textIsEscaped[field]) {
      const bytes = Buffer.from(stringText(body, from, to));
      builder.setAttribute(column, bytes, 0, bytes.length);
    } else builder.setAttribute(column, body, from, to);
  }
  for (const { column, bytes } of constants) builder.setAttribute(column, bytes, 0, bytes.length);
}

/** The reason for a line that has a tag and a string field of one name. */
export function twice(name: string): string {
  return `${quote(name)} is both a tag and a string field of the line`;
}

function tooLong(name: string, bytes: number, tagValueBytesMax: number): string {
  return `${quote(name)} is ${bytes} bytes long, at most ${tagValueBytesMax} are accepted (tagValueBytesMax)`;
}
