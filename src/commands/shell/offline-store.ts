/**
 * Answers requests about the store of a folder that no gateway has open, without changing the folder: its store is copied to the
 * temporary folder, and a gateway without sockets opens the copy. Where the file system can clone files, the copy takes no room.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../config/config.ts";
import { requireReadableFolder } from "../../data-folder.ts";
import { openGateway } from "../../gateway.ts";
import { copyStore } from "../../store/backup/folder-copy.ts";
import { StoreLocked } from "../../store/store.ts";
import type { Send } from "../client.ts";

export interface OfflineStore extends AsyncDisposable {
  readonly send: Send;
}

/** @throws NoStore, StoreLocked with the way to ask the gateway, StoreDamaged … */
export async function openOffline(data: string): Promise<OfflineStore> {
  requireReadableFolder(data);
  const folder = mkdtempSync(join(tmpdir(), "weir-sql-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, "data");
    await copyStore(data, copy);
    const config = loadConfig(["--data", copy, "--no-sampler"], {}, () => undefined);
    const gateway = await openGateway(config, { isTrusted: true });
    return {
      send: async (path, { method = "GET", query = [], headers, body, signal } = {}) => {
        const parameters = new URLSearchParams(query as [string, string][]).toString();
        const url = `http://localhost${path}${parameters === "" ? "" : `?${parameters}`}`;
        return await gateway.app.fetch(new Request(url, { method, headers, body, signal }));
      },
      async [Symbol.asyncDispose]() {
        await gateway.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    if (!(error instanceof StoreLocked)) throw error;
    throw new StoreLocked(`${error.message}: ask that gateway, without --data`);
  }
}
