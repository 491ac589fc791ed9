/** What the names of workers' files say: the worker, the file before its rotation, and the order of rotated files. Pure. */
import { basename } from "node:path";

/** The endings of the names of files with events. */
export const EVENT_ENDINGS: readonly string[] = ["json", "ndjson", "jsonl"];

/** Matches the names of files with these endings, also of rotated and compressed ones, and not of hidden ones. */
export function filesWithEndings(endings: readonly string[]): RegExp {
  return new RegExp(`^[^.].*\\.(${endings.join("|")})([.-].*)?$`);
}

/**
 * The worker of a file: the part of its name between "metrics" and its ending, without a leading "_" or "-". It is "prod"
 * for `metrics_prod.json` and "1" for `metrics_1.json.2024-01-15.gz`. Other names contain no worker.
 */
export function workerOf(path: string): string {
  return (
    /^metrics[_-]*([^._-].*?)\.(?:json|ndjson|jsonl|log|logfmt|txt|csv|tsv|lp)(?:[.-].*)?$/.exec(
      basename(path),
    )?.[1] ?? ""
  );
}

/** `metrics_1.json.2024-01-15.gz`, `metrics_1.json.1` and `metrics_1.json` have one stem, the last. */
export function stemOf(path: string): string {
  return path.replace(/\.(gz|zst|zstd)$/, "").replace(/[.-]([0-9]{4}-?[0-9]{2}-?[0-9]{2}|[0-9]{1,4})$/, "");
}

/** `metrics_1.json.2024-01-15` before `metrics_1.json`, which is newer. */
export function byAge(a: string, b: string): number {
  if (a.startsWith(`${b}.`)) return -1;
  if (b.startsWith(`${a}.`)) return 1;
  return a < b ? -1 : 1;
}
