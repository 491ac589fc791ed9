/** The options of commands that read files of lines: the format of the lines, and which of their fields make events. */
import {
  type LineFormatOptions,
  type MappedFormat,
  readLineFormat,
  WrongHeader,
} from "../../line-formats/line-format.ts";
import { BadInput } from "../../model/errors.ts";
import { UsageError } from "../command.ts";

export const formatOptions = {
  format: { type: "string" },
  map: { type: "string", multiple: true, default: [] as string[] },
  delimiter: { type: "string" },
  header: { type: "string" },
  precision: { type: "string" },
} as const;

/** The format that the options name; undefined for events. Throws `UsageError` that quotes an invalid option. */
export function formatOf(values: LineFormatOptions): MappedFormat | undefined {
  try {
    return readLineFormat(values);
  } catch (error) {
    if (error instanceof BadInput || error instanceof WrongHeader) throw new UsageError(error.message);
    throw error;
  }
}
