/**
 * Opens the service that follows files: reads the format of their lines, and connects it with ingest. Its rooms are loaded if the
 * settings say anything of files or of their lines.
 */
import { type Config, pickSettings } from "./config/config.ts";
import { SettingError } from "./config/setting-error.ts";
import type { MappedFormat } from "./line-formats/line-format.ts";
import { BadInput } from "./model/errors.ts";
import type { Service } from "./model/service.ts";
import type { tailServices } from "./tail/tail-service.ts";

type Parts = Omit<Parameters<typeof tailServices>[0], "config"> & { readonly config: Config };
type Lines = Parameters<typeof tailServices>;

/** The service of the settings, if they name files. Throws SettingError if their format is invalid, without files too. */
export async function openTail(parts: Parts, ingest: Lines[1], decode: Lines[2]): Promise<Service[]> {
  const { tailFormat, ...texts } = pickSettings(
    parts.config,
    ...(["tail", "tailFormat", "tailMap", "tailDelimiter", "tailHeader", "tailPrecision"] as const),
  );
  if (tailFormat === "events" && Object.values(texts).every((each) => each.length === 0)) return [];
  const { tailServices } = await import("./tail/tail-service.ts");
  return tailServices(parts, ingest, decode, await tailFormatOf(parts.config));
}

/** The format of followed lines. Undefined for JSON events. Throws SettingError that names the setting. */
export async function tailFormatOf(config: Config): Promise<MappedFormat | undefined> {
  const { readLineFormat, WrongHeader } = await import("./line-formats/line-format.ts");
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
