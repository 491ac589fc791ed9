/** Opens the archive that a text names. */
import { type ArchivePlace, readArchivePlace } from "../../model/forwarding/archive-place.ts";
import { ArchiveFault } from "../manifest.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import { FolderTarget } from "./folder-target.ts";
import { S3Target } from "./s3-target.ts";

/** @throws ArchiveFault if the text names no archive */
export function placeOf(text: string): ArchivePlace {
  const place = readArchivePlace(text);
  if ("fault" in place) throw new ArchiveFault(`the archive ${place.fault}`);
  return place;
}

/** @throws ArchiveFault if the text names no archive */
export function openTarget(text: string): ArchiveTarget {
  const place = placeOf(text);
  return "folder" in place ? new FolderTarget(place.folder) : new S3Target(place.bucket, place.prefix);
}
