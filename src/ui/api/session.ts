/** Who uses the page: what the gateway allows this browser. */
import { signal } from "@preact/signals";
import { askJson, ask } from "./gateway-api.ts";
import { signInIsNeeded } from "./sign-in-state.ts";

export interface Session {
  /** Whether the gateway needs no token. */
  readonly open: boolean;
  /** The name of the token. Null if there is none. */
  readonly name: string | null;
  readonly scopes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly expires: string | null;
}

/** Undefined until the gateway has answered. */
export const session = signal<Session | undefined>(undefined);

/** Whether the caller has a scope. */
export function may(scope: string): boolean {
  return session.value?.scopes.includes(scope) ?? false;
}

/** Whether the caller sees only series with certain labels. */
export function isBound(): boolean {
  return Object.keys(session.value?.labels ?? {}).length > 0;
}

/** Asks the gateway who this browser is. */
export async function loadSession(): Promise<void> {
  set(await askJson<Session>("/api/v1/session"));
}

/** Signs in with a token. Throws ApiError if it is not valid. */
export async function signIn(token: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ token });
  set(await askJson<Session>("/api/v1/session", { method: "POST", headers, body }));
}

export async function signOut(): Promise<void> {
  await ask("/api/v1/session", { method: "DELETE" });
  await loadSession();
}

function set(known: Session): void {
  session.value = known;
  signInIsNeeded.value = !known.open && known.scopes.length === 0;
}
