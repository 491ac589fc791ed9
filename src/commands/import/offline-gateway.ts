/** A gateway that a command opens over a data folder while no gateway runs, and asks by its own routes. */
import type { Config } from "../../config/config.ts";
import { giveToOwner } from "../../data-folder.ts";
import type { Send } from "../client.ts";

/**
 * Opens the gateway, runs an action with it, and closes it.
 *
 * @param what the verb of the command, for the error if the folder is in use
 * @throws StoreLocked
 */
export async function withOfflineGateway<T>(
  config: Config,
  what: string,
  action: (send: Send) => Promise<T>,
): Promise<T> {
  // Loaded here, so that a command over HTTP does not load the store's modules.
  const { openGateway } = await import("../../gateway.ts");
  const { StoreLocked } = await import("../../store/store.ts");
  const gateway = await openGateway(config, { isTrusted: true }).catch((error: unknown) => {
    if (!(error instanceof StoreLocked)) throw error;
    throw new StoreLocked(`${error.message}, or ${what} through it with --url`);
  });
  try {
    return await action(within(gateway.app));
  } finally {
    await gateway.close();
    giveToOwner(config.data);
  }
}

function within(app: { fetch(request: Request): Promise<Response> }): Send {
  return async (path, { method = "GET", query = [], headers, body } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]);
    return await app.fetch(new Request(`http://localhost${path}?${parameters}`, { method, headers, body }));
  };
}
