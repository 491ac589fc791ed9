/**
 * How it is: `/-/healthy` (the process answers) and `/-/ready` (a scrape would render, a commit would pass).
 */
import { Elysia } from "elysia";
import { RequestError } from "../errors.ts";
import { jsonResponse } from "./errors.ts";

export interface HealthDependencies {
  /** Renders a scrape into nothing and commits an empty transaction; rejects with what is wrong. */
  ready(): Promise<void>;
  /** How long a check may take before the answer is 503; 5 s if absent, half of what orchestrators wait. */
  readonly timeoutMs?: number;
}

const REASON_LENGTH_MAX = 300;

export const healthRoutes = ({ ready, timeoutMs = 5_000 }: HealthDependencies) => {
  // One check serves all who ask while it runs: a flood of probes is not a flood of commits.
  let check: Promise<string | undefined> | undefined;
  const checkOnce = (): Promise<string | undefined> => {
    check ??= Promise.resolve()
      .then(ready)
      .then(() => undefined, reasonOf)
      .finally(() => {
        check = undefined;
      });
    return check;
  };

  return new Elysia()
    .get("/-/healthy", () => jsonResponse(200, { status: "healthy" }), { parse: "none" })
    .get(
      "/-/ready",
      async () => {
        const late = Promise.withResolvers<string>();
        const timer = setTimeout(() => late.resolve(`the check took longer than ${timeoutMs} ms`), timeoutMs);
        const reason = await Promise.race([checkOnce(), late.promise]);
        clearTimeout(timer);
        if (reason === undefined) return jsonResponse(200, { status: "ready" });
        const error = { code: "unavailable", message: `Not ready: ${reason}` };
        return jsonResponse(503, { error }, { "retry-after": "1" });
      },
      { parse: "none" },
    );
};

/** Operators read this, so the engine's own words are passed on; its first line, and not all of a long one. */
function reasonOf(error: unknown): string {
  const message = error instanceof RequestError || error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0].slice(0, REASON_LENGTH_MAX);
}
