/** The rows of the store, for a Worker: each question is a message to the thread that owns the store. */
import type { EncodedBlocks } from "../../../store/blocks/decode.ts";
import type { Source } from "../catalog/catalog.ts";
import type { CellColumns } from "../cells/cell-columns.ts";
import type { CodeColumns } from "../cells/code-chunks.ts";
import type { SampleColumns } from "../cells/sample-columns.ts";
import type { Matcher } from "../matchers.ts";
import type { SharedAnswer } from "../shared/shared-samples.ts";
import type { ArchiveOpened, StoredRows } from "../store/stored-rows.ts";
import type { RowColumns, RowLists, StoredDay, TableReader } from "../store/table-reader.ts";
import type { UpstreamAnswer } from "../../upstream/upstream-messages.ts";
import type {
  Ask,
  AskPart,
  FoundAnswer,
  FromWorker,
  PlainMatcher,
  TaskSettings,
  ToWorker,
} from "./messages.ts";
import { errorOf } from "./plain-error.ts";
import { type KnownResults, SourcesDecoder } from "./sources-text.ts";

type Visit = (part: AskPart) => void | Promise<void>;

interface Asked {
  readonly visit: Visit;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Parts are used one after the other. */
  used: Promise<void>;
  failure?: { readonly error: unknown };
}

/** Asks questions, and gives each answer to the caller that asked. */
export class Asker {
  readonly #post: (message: FromWorker) => void;
  readonly #asked = new Map<number, Asked>();
  #last = 0;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  tell(message: FromWorker): void {
    this.#post(message);
  }

  /** Resolves to the answer, after `visit` was called for each part of it. If `visit` throws, no further parts come. */
  ask(request: Ask, visit: Visit = () => {}): Promise<unknown> {
    const ask = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#asked.set(ask, { visit, resolve, reject, used: Promise.resolve() });
    this.#post({ type: "ask", ask, request });
    return promise;
  }

  /** Takes a message of the owner that belongs to a question. */
  take(message: ToWorker): void {
    if (message.type !== "part" && message.type !== "answered" && message.type !== "refused") return;
    const { ask } = message;
    const asked = this.#asked.get(ask);
    if (asked === undefined) return;
    if (message.type === "part") {
      asked.used = asked.used.then(() => this.#use(ask, asked, message.part));
      return;
    }
    this.#asked.delete(ask);
    void asked.used.then(() => {
      if (asked.failure !== undefined) asked.reject(asked.failure.error);
      else if (message.type === "answered") asked.resolve(message.value);
      else asked.reject(errorOf(message.error));
    });
  }

  async #use(ask: number, asked: Asked, part: AskPart): Promise<void> {
    if (asked.failure !== undefined) return;
    try {
      await asked.visit(part);
      this.#post({ type: "taken", ask });
    } catch (error) {
      asked.failure = { error };
      this.#post({ type: "enough", ask });
    }
  }
}

/** The rows for one task. */
export class RemoteRows implements StoredRows {
  readonly #asker: Asker;
  readonly #days: readonly StoredDay[];
  readonly #known: KnownResults<readonly Source[]>;
  readonly shared: StoredRows["shared"];
  readonly archive: StoredRows["archive"];
  #readers = 0;

  /** @param known the results of look-ups that this thread has */
  constructor(
    asker: Asker,
    { days, hasShared, hasArchive }: Pick<TaskSettings, "days" | "hasShared" | "hasArchive">,
    known: KnownResults<readonly Source[]>,
  ) {
    this.#asker = asker;
    this.#days = days;
    this.shared = hasShared
      ? {
          read: async (seriesIds, asked) =>
            (await asker.ask({ what: "shared", seriesIds, asked })) as SharedAnswer,
          settle: (ticket, result) => asker.tell({ type: "settle", ticket, result }),
        }
      : undefined;
    this.archive = hasArchive
      ? {
          open: async (firstDay, lastDay) =>
            (await asker.ask({ what: "archive", firstDay, lastDay })) as ArchiveOpened,
          find: (matchers, firstDay, lastDay) => this.#find(matchers, firstDay, lastDay, true),
          withSamplesIn: (ids, firstDay, lastDay) => this.#withSamplesIn(ids, firstDay, lastDay, true),
        }
      : undefined;
    this.#known = known;
  }

  days: StoredRows["days"] = () => this.#days;

  find: StoredRows["find"] = (matchers, firstDay, lastDay) => this.#find(matchers, firstDay, lastDay, false);

  async #find(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    withArchived: boolean,
  ): Promise<readonly Source[]> {
    const plain = matchers.map(plainMatcher);
    const asked = { what: "find", matchers: plain, firstDay, lastDay, withArchived } as const;
    return (await this.#found(asked)) ?? (await this.#found({ ...asked, isAgain: true }))!;
  }

  /** Undefined if the owner takes the result for known, and it is not. */
  async #found(asked: Ask & { what: "find" }): Promise<readonly Source[] | undefined> {
    const sources: Source[] = [];
    const decoder = new SourcesDecoder();
    const answer = await this.#asker.ask(asked, (part) => {
      for (const source of decoder.decode(part as string)) sources.push(source);
    });
    if (answer === undefined) return sources;
    const found = answer as FoundAnswer;
    if (found.isKnown) return this.#known.get(found);
    this.#known.set(found, sources);
    return sources;
  }

  withSamplesIn: StoredRows["withSamplesIn"] = (seriesIds, firstDay, lastDay) =>
    this.#withSamplesIn(seriesIds, firstDay, lastDay, false);

  async #withSamplesIn(
    ids: readonly number[],
    firstDay: number,
    lastDay: number,
    withArchived: boolean,
  ): Promise<ReadonlySet<number>> {
    const seriesIds = Uint32Array.from(ids);
    const asked = { what: "withSamplesIn", seriesIds, firstDay, lastDay, withArchived } as const;
    return new Set((await this.#asker.ask(asked)) as Uint32Array);
  }

  cells: StoredRows["cells"] = async (seriesIds, asked) =>
    (await this.#asker.ask({ what: "cells", seriesIds, asked })) as CellColumns | undefined;

  codes: StoredRows["codes"] = async (seriesIds, asked) =>
    (await this.#asker.ask({ what: "codes", seriesIds, asked })) as CodeColumns | undefined;

  samples: StoredRows["samples"] = async (seriesIds, asked) =>
    (await this.#asker.ask({ what: "samples", seriesIds, asked })) as SampleColumns | undefined;

  upstream: StoredRows["upstream"] = async (asked) =>
    (await this.#asker.ask({ what: "upstream", asked })) as UpstreamAnswer;

  readonly large: StoredRows["large"] = {
    free: () => Bun.gc(true),
    run: async (read, signal) => {
      signal.throwIfAborted();
      await this.#asker.ask({ what: "large" });
      try {
        return await read();
      } finally {
        this.#asker.tell({ type: "largeDone" });
      }
    },
  };

  tables: StoredRows["tables"] = (): TableReader => {
    const reader = ++this.#readers;
    return {
      scan: async (statement, nullable, visit) => {
        await this.#asker.ask({ what: "scan", reader, statement, nullable }, (part) =>
          visit(part as RowColumns),
        );
      },
      scanLists: async (statement, visit) => {
        await this.#asker.ask({ what: "scanLists", reader, statement }, (part) => visit(part as RowLists));
      },
      scanBlocks: async (statement, visit) => {
        await this.#asker.ask({ what: "scanBlocks", reader, statement }, (part) =>
          visit(part as EncodedBlocks),
        );
      },
      close: () => this.#asker.tell({ type: "closeReader", reader }),
    };
  };
}

/** A matcher as a message. */
export function plainMatcher({ name, operator, value }: Matcher): PlainMatcher {
  return { name, operator, value };
}
