/** Requests to the tortured gateway. A request that a kill interrupts has no answer, and is no error. */

const TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export class Client {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  /** Undefined if no answer arrived. */
  async send(path: string, init: RequestInit = {}): Promise<Answer | undefined> {
    try {
      const headers = new Headers(init.headers);
      headers.set("Authorization", `Bearer ${this.#token}`);
      const response = await fetch(this.url + path, {
        ...init,
        headers,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return { status: response.status, text: await response.text(), headers: response.headers };
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError")
        throw new Error(`${path} had no answer for ${TIMEOUT_MS / 1000} s`);
      return undefined;
    }
  }

  /** As `send`. Throws unless the answer is 200. */
  async get(path: string, init?: RequestInit): Promise<string> {
    const answer = await this.send(path, init);
    if (answer?.status !== 200)
      throw new Error(`${path} was answered ${answer?.status ?? "not at all"}: ${answer?.text ?? ""}`);
    return answer.text;
  }

  async sql<Row>(sql: string): Promise<Row[]> {
    const text = await this.get("/api/v1/sql", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sql, limit: 100_000 }),
    });
    return (JSON.parse(text) as { rows: Row[] }).rows;
  }

  /** The values of /metrics, by the series as it is written. */
  async scrape(): Promise<Map<string, number>> {
    const text = await this.get("/metrics");
    const lines = text.split("\n").filter((line) => line.startsWith("torture_"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at))];
      }),
    );
  }
}
