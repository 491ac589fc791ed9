/** Questions on a terminal, one line each. An empty answer takes the default. */
import type { Io } from "../command.ts";

export class Questions {
  readonly #io: Io;
  #lines: AsyncIterator<string> | undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  /** Returns the answer, or the default if it is empty or the input has ended. */
  async ask(question: string, preset: string): Promise<string> {
    await this.#io.stderr.write(`${question} [${preset}] `);
    this.#lines ??= linesOf(this.#io.stdin());
    const { value, done } = await this.#lines.next();
    const answer = done === true ? "" : value.trim();
    return answer === "" ? preset : answer;
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
