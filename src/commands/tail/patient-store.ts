/**
 * A gateway that a follower waits for: it may start later than the follower, be replaced, or reject a token until
 * somebody renews it. Only the first refusal of all, before anything was accepted, is an error, because then the arguments
 * are probably wrong.
 */
import type { KnownFile } from "../../line-files/identity.ts";
import {
  ChunkRefused,
  type FilePart,
  Interrupted,
  type LineStore,
  type PartAnswer,
} from "../../line-files/line-store.ts";
import { RequestRefused } from "../client.ts";

/** A refusal lasts until a person does something. */
const REFUSED_PAUSE_MS = 10_000;

export class PatientStore implements LineStore {
  readonly #store: LineStore;
  #hasAccepted = false;

  constructor(store: LineStore) {
    this.#store = store;
  }

  withFirstLine(firstLineHash: string): Promise<KnownFile[]> {
    return this.#ask(() => this.#store.withFirstLine(firstLineHash));
  }

  named(file: string): Promise<KnownFile | undefined> {
    return this.#ask(() => this.#store.named(file));
  }

  push(part: FilePart, extraLabels: readonly string[]): Promise<PartAnswer> {
    return this.#ask(() => this.#store.push(part, extraLabels));
  }

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    try {
      const answer = await ask();
      this.#hasAccepted = true;
      return answer;
    } catch (error) {
      if (error instanceof Interrupted || error instanceof ChunkRefused) throw error;
      if (error instanceof RequestRefused) {
        if (!this.#hasAccepted) throw error;
        throw new Interrupted(error.message, REFUSED_PAUSE_MS);
      }
      // No connection, or one that broke within the answer, or the answer of something else than a gateway.
      throw new Interrupted(error instanceof Error ? error.message : String(error));
    }
  }
}
