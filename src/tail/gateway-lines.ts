/**
 * Stores lines in the gateway of this process: as bytes to a decoder, and its batch to ingest. It does the same as the
 * requests of `weir import`, without a request, and no token limits it.
 */
import type { Ack, PushOptions } from "../ingest/contract.ts";
import { withoutMarks } from "../line-files/content.ts";
import { type KnownFile, readIdentity } from "../line-files/identity.ts";
import {
  ChunkRefused,
  type FilePart,
  Interrupted,
  type LineStore,
  type PartAnswer,
} from "../line-files/line-store.ts";
import { RequestError } from "../model/errors.ts";
import type { Batch, Labels } from "../model/sample.ts";

interface StoredImport {
  readonly file: string;
  readonly byteOffset: number;
  readonly lastLineHash: string;
  readonly identity: string;
}

export interface GatewayLinesParts {
  readonly ingest: {
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
    importOffset(file: string): StoredImport | undefined;
    importsWithFirstLine(hash: string): readonly StoredImport[];
  };
  /** Decodes whole lines. Throws a RequestError if it cannot read them at all. */
  readonly decode: (body: Uint8Array) => Batch | Promise<Batch>;
}

/** Enough for each line of a chunk that a worker could have got wrong. */
const ERRORS_MAX = 1_000;
/** Sets of labels that are remembered: one per worker. */
const LABELS_MAX = 1_000;

export class GatewayLines implements LineStore {
  readonly #parts: GatewayLinesParts;
  /** Ingest is fast for label sets that are the same object. */
  readonly #labels = new Map<string, Labels>();

  constructor(parts: GatewayLinesParts) {
    this.#parts = parts;
  }

  async withFirstLine(firstLineHash: string): Promise<KnownFile[]> {
    return this.#parts.ingest.importsWithFirstLine(firstLineHash).map(asKnown);
  }

  async named(file: string): Promise<KnownFile | undefined> {
    const found = this.#parts.ingest.importOffset(file);
    return found === undefined ? undefined : asKnown(found);
  }

  async push(part: FilePart, extraLabels: readonly string[]): Promise<PartAnswer> {
    const { file, firstLineHash, fromOffset, toOffset, lastLineHash } = part;
    try {
      const batch = await this.#parts.decode(withoutMarks(part.body));
      const { accepted, duplicates, rejected, rejectedCount } = await this.#parts.ingest.push(batch, {
        extraLabels: this.#labelsOf(extraLabels),
        historical: part.isLive ? false : undefined,
        imported: {
          ...{ file, firstLineHash, fromOffset, toOffset, lastLineHash },
          identity: JSON.stringify(part.identity),
        },
      });
      const causes: Record<string, number> = {};
      for (const { cause } of rejected) causes[cause] = (causes[cause] ?? 0) + 1;
      const errors = rejected
        .slice(0, ERRORS_MAX)
        .map(({ index, reason, cause }) => ({ index, reason, cause }));
      return {
        ...{ accepted, duplicates, rejected: rejectedCount, errors, causes },
        ...{ warnings: batch.warnings?.first ?? [], warningsOmitted: 0 },
      };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status === 409 || error.status === 429 || error.status >= 500) {
        const { retryAfterSeconds } = error as { retryAfterSeconds?: number };
        throw new Interrupted(
          error.message,
          retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000,
        );
      }
      throw new ChunkRefused(error.message);
    }
  }

  #labelsOf(pairs: readonly string[]): Labels | undefined {
    if (pairs.length === 0) return undefined;
    const key = JSON.stringify(pairs);
    const before = this.#labels.get(key);
    if (before !== undefined) return before;
    if (this.#labels.size >= LABELS_MAX) this.#labels.clear();
    const entries = pairs.map((pair): [string, string] => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    });
    const labels: Labels = new Map(
      entries.filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    this.#labels.set(key, labels);
    return labels;
  }
}

function asKnown({ file, byteOffset, lastLineHash, identity }: StoredImport): KnownFile {
  return { file, byteOffset, lastLineHash, identity: readIdentity(identity) };
}
