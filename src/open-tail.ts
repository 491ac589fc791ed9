/** Opens the service that follows files: reads the format of their lines, and connects it with ingest. */
import type { Config } from "./config/config.ts";
import { SettingError } from "./config/setting-error.ts";
import { type MappedFormat, readLineFormat, WrongHeader } from "./line-formats/line-format.ts";
import { BadInput } from "./model/errors.ts";
import type { Service } from "./model/service.ts";
import { tailServices } from "./tail/tail-service.ts";

type Parts = Omit<Parameters<typeof tailServices>[0], "config"> & { readonly config: Config };
type Lines = Parameters<typeof tailServices>;

/** The service of the settings, if they name files. Throws SettingError if their format is invalid. */
export function openTail(parts: Parts, ingest: Lines[1], decode: Lines[2]): Service[] {
  return tailServices(parts, ingest, decode, tailFormatOf(parts.config));
}

/** The format of followed lines. Undefined for JSON events. Throws SettingError that names the setting. */
export function tailFormatOf(config: Config): MappedFormat | undefined {
  try {
    return readLineFormat({
      format: config.tailFormat,
      map: config.tailMap,
      delimiter: config.tailDelimiter || undefined,
      header: config.tailHeader || undefined,
      precision: config.tailPrecision || undefined,
    });
  } catch (error) {
    if (!(error instanceof BadInput || error instanceof WrongHeader)) throw error;
    // The flags of the gateway begin with those of `weir tail`.
    throw new SettingError(
      error.message.replace(/--(?=(?:format|map|delimiter|header|precision)\b)/g, "--tail-"),
    );
  }
}
