/** Requests to the gateway's HTTP API, and what its errors say. */
import { gatewayState } from "./gateway-state.ts";
import { signInIsNeeded } from "./sign-in-state.ts";

/** The gateway did not answer a request with 2xx. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The status, or 0 if the gateway did not answer at all. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Parameters = Readonly<Record<string, string | number | readonly string[] | undefined>>;

interface AskOptions {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  /** In the query. Those that are undefined are left out; a list is repeated. */
  readonly parameters?: Parameters;
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Sends a request.
 *
 * @throws ApiError if the gateway does not answer, or not with 2xx. What `signal` aborts throws its reason
 */
export async function ask(path: string, options: AskOptions = {}): Promise<Response> {
  const { method = "GET", parameters, body, headers, signal } = options;
  let response: Response;
  try {
    response = await fetch(addressOf(path, parameters), { method, body, headers, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    gatewayState.value = "away";
    throw new ApiError(0, `The gateway does not answer (${error instanceof Error ? error.message : error}).`);
  }
  gatewayState.value = "here";
  if (response.ok) return response;
  const message = messageOf(await response.text(), response.status);
  if (response.status === 401) signInIsNeeded.value = true;
  throw new ApiError(response.status, message);
}

/** The body of an answer as JSON. */
export async function askJson<Answer>(path: string, options?: AskOptions): Promise<Answer> {
  const response = await ask(path, options);
  return (await response.json()) as Answer;
}

/** The `data` of an answer of Prometheus's API. */
export async function askPrometheus<Data>(path: string, options?: AskOptions): Promise<Data> {
  return (await askJson<{ data: Data }>(path, options)).data;
}

/** The rows of a statement. Numbers that a double cannot hold are texts. */
export async function askSql<Row>(q: string, options: Omit<AskOptions, "parameters"> = {}): Promise<Row[]> {
  const answer = await askJson<{ rows: Row[] }>("/api/v1/sql", {
    ...options,
    parameters: { q, format: "json" },
  });
  return answer.rows;
}

/** The rows of a summary of sql/summaries. */
export async function askSummary<Row>(
  name: string,
  parameters: Parameters = {},
  signal?: AbortSignal,
): Promise<Row[]> {
  const path = `/api/v1/summaries/${name}`;
  return (await askJson<{ rows: Row[] }>(path, { parameters: { ...parameters, format: "json" }, signal }))
    .rows;
}

function addressOf(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (typeof value === "object") for (const each of value) query.append(name, each);
    else query.append(name, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The sentence of an error: of this API, of Prometheus's, or plain text. */
function messageOf(text: string, status: number): string {
  try {
    const { error } = JSON.parse(text) as { error?: string | { message?: string } };
    const message = typeof error === "string" ? error : error?.message;
    if (message) return message;
  } catch {
    // It is plain text.
  }
  return text.trim() || `The gateway answered ${status}.`;
}
