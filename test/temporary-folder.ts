/**
 * Temporary folders of tests. bunfig.toml loads this module before all test files, so that the folders are deleted at the
 * end of the run: hooks at the end of a test file still write to them.
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Makes an empty folder, which is deleted at the end of the run. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-test-"));
  folders.push(folder);
  return folder;
}
