/**
 * A fetch that records its requests. It is a proxy of the worker's own: the same properties, the same answers and errors,
 * and the body of an answer is not read. The duration ends when the head of the answer is there.
 */
import type { WorkerRequest } from "./worker-metrics.ts";

// biome-ignore lint/suspicious/noExplicitAny: the parameters differ between runtimes, and are passed on as they are.
export type FetchFunction = (...args: any[]) => Promise<Response>;

export interface InstrumentOptions {
  /** The operation of a request; a function decides by its address and method. The default is `target_request`. */
  readonly operation?: string | ((url: string, method: string) => string);
  /** The task that the worker is at. */
  readonly taskId?: () => string | null | undefined;
}

/**
 * @param pushUrl requests to it are not recorded: the client's own would be recorded for ever
 */
export function instrumented<Fetch extends FetchFunction>(
  fetch: Fetch,
  record: (request: WorkerRequest) => void,
  pushUrl: string | undefined,
  { operation = "target_request", taskId }: InstrumentOptions = {},
): Fetch {
  return new Proxy(fetch, {
    apply(target, self, args: unknown[]) {
      const startedMs = performance.now();
      const { url, method } = facts(args);
      const ended = (result: { readonly status?: number; readonly error?: unknown }) => {
        const durationMs = performance.now() - startedMs;
        if (url === pushUrl) return;
        // The functions are the worker's: an error in them is not one of its request.
        try {
          const name = typeof operation === "function" ? operation(url, method) : operation;
          record({ operation: name, url, method, durationMs, taskId: taskId?.(), ...result });
        } catch {
          record({ operation: "unknown", url, method, durationMs, ...result });
        }
      };
      return Reflect.apply(target, self, args).then(
        (response) => {
          ended({ status: response.status });
          return response;
        },
        (error: unknown) => {
          // `fetch` may be rejected with nothing, such as the reason of an AbortSignal.
          ended({ error: error ?? "unknown" });
          throw error;
        },
      );
    },
  });
}

/** The address and the method of a request, by the parameters of `fetch`. Reads no body. Never throws. */
function facts([input, init]: unknown[]): { readonly url: string; readonly method: string } {
  try {
    const isRequest = typeof input === "object" && input !== null && "url" in input;
    const url = isRequest ? String(input.url) : String(input);
    const ofInit = typeof init === "object" && init !== null && "method" in init ? init.method : undefined;
    const ofRequest = isRequest && "method" in input ? input.method : undefined;
    return { url, method: String(ofInit ?? ofRequest ?? "GET") };
  } catch {
    return { url: "unknown", method: "unknown" };
  }
}
