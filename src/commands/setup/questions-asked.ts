/** Questions on a terminal, one line each. An empty answer takes the default. */
import { SettingError } from "../../config/setting-error.ts";
import { type Io, UsageError } from "../command.ts";

export class Questions {
  readonly #io: Io;
  #lines: AsyncIterator<string> | undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  /**
   * Returns what `read` makes of the answer, or of the default if the answer is empty or the input has ended. If `read` throws
   * `UsageError` or `SettingError`, the question is asked again.
   */
  async ask<T>(question: string, preset: string, read: (text: string) => T): Promise<T> {
    this.#lines ??= linesOf(this.#io.stdin());
    for (;;) {
      await this.#io.stderr.write(`${question} [${preset}] `);
      const { value, done } = await this.#lines.next();
      const answer = done === true ? "" : value.trim();
      try {
        return read(answer === "" ? preset : answer);
      } catch (error) {
        const isInvalid = error instanceof UsageError || error instanceof SettingError;
        if (!isInvalid || done === true) throw error;
        await this.#io.stderr.write(`${error.message}\n`);
      }
    }
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of stream) {
    text += decoder.decode(piece, { stream: true });
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
  if (text !== "") yield text;
}
