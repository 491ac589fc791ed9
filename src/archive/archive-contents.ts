/** The days that an archive has, read from their manifests, and a check of their files. */
import { dateText } from "../model/time.ts";
import { dayFolder, dayOfPath, filesOf, MANIFEST_FILE, type Manifest, readManifest } from "./manifest.ts";
import type { ArchiveTarget } from "./targets/archive-target.ts";

/** The days with a manifest, ascending. */
export async function archivedDaysOf(target: ArchiveTarget): Promise<number[]> {
  const days: number[] = [];
  for (const path of (await target.list("date=")).keys()) {
    const day = dayOfPath(path);
    if (day !== undefined && path === dayFolder(day) + MANIFEST_FILE) days.push(day);
  }
  return days.sort((a, b) => a - b);
}

/**
 * The manifest of a day. Undefined if the archive does not have the day.
 *
 * @throws ArchiveFault
 */
export async function manifestOf(target: ArchiveTarget, day: number): Promise<Manifest | undefined> {
  const path = dayFolder(day) + MANIFEST_FILE;
  const text = await target.read(path);
  return text === undefined ? undefined : readManifest(text, path);
}

/** Checks that all files of a day are there, with their sizes and hashes. Returns a sentence for each that is not. */
export async function faultsOf(target: ArchiveTarget, day: number, manifest: Manifest): Promise<string[]> {
  const faults: string[] = [];
  const folder = dayFolder(day);
  const sizes = await target.list(folder);
  for (const { file, bytes, sha256 } of filesOf(manifest)) {
    const path = folder + file;
    const size = sizes.get(path);
    if (size === undefined) faults.push(`${path} is missing`);
    else if (size !== bytes) faults.push(`${path} has ${size} bytes, expected ${bytes}`);
    else if ((await target.hash(path)) !== sha256)
      faults.push(`${path} has other contents than were written`);
  }
  if (manifest.date !== dateText(day)) faults.push(`${folder}${MANIFEST_FILE} is of ${manifest.date}`);
  return faults;
}
