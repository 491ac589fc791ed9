/**
 * The entry of a Worker that decodes bodies. It has decoders of its own, which remember label blocks as those of the first
 * thread do, and never opens the store. The owner ends it at any moment.
 *
 * It leaves to the first thread what needs more than the body, or would take it as long as decoding: a body with an error,
 * metadata or native histograms of remote_write, and very many new series.
 */
import { BodiesInProgress } from "../../http/body.ts";
import type { Batch } from "../../model/sample.ts";
import { FamilyMetadata } from "../../wire/exposition-formats/family-metadata.ts";
import { inflatingSnappyBlock } from "../../wire/compression/snappy.ts";
import { BodyDecoder, type Decoding } from "../body-decoder.ts";
import { ColumnBodies } from "../events/columns/column-bodies.ts";
import { EventDecoder } from "../events/events.ts";
import { RemoteWriteDecoder } from "../remote-write/remote-write.ts";
import { RemoteWriteV2Decoder } from "../remote-write/remote-write-v2.ts";
import type { RemoteWriteRequest } from "../remote-write/request-gatherer.ts";
import type {
  AttributeRules,
  DecodeKind,
  DecodeLimits,
  DecodeTask,
  FromDecoder,
  ToDecoder,
  WrittenTask,
} from "./decode-messages.ts";
import { HeadNumbers } from "./sent-heads.ts";

declare const self: Worker;

/** Rejections that are sent, each with a text of up to 1 kB. The first thread copies them without a pause. */
const REJECTED_MAX = 1_000;

/** Metadata that is not kept: the first thread keeps it. */
class UnkeptMetadata extends FamilyMetadata {
  /** Whether a request had some since this was set. */
  isSeen = false;

  override note(): "known" {
    this.isSeen = true;
    return "known";
  }
}

/** The attributes as the first thread said last. */
class Attributes {
  #rules: AttributeRules = { epoch: -1, names: [], demoted: [] };
  #names: ReadonlySet<string> = new Set();
  #demoted: ReadonlyMap<string, readonly string[]> = new Map();

  set(rules: AttributeRules): void {
    this.#rules = rules;
    this.#names = new Set(rules.names);
    this.#demoted = new Map(rules.demoted);
  }

  readonly epoch = (): number => this.#rules.epoch;
  readonly isAttribute = (metric: string, tag: string): boolean =>
    this.#names.has(tag) || (this.#demoted.get(metric)?.includes(tag) ?? false);
  readonly attributesOf = (metric: string): readonly string[] => [
    ...new Set([...this.#rules.names, ...(this.#demoted.get(metric) ?? [])]),
  ];
}

interface WrittenDecoder {
  readonly decoder: {
    reserve: RemoteWriteDecoder["reserve"];
    decoding(body: Uint8Array): Decoding<RemoteWriteRequest>;
  };
  readonly metadata: UnkeptMetadata;
}

function writtenDecoder(make: (metadata: FamilyMetadata) => WrittenDecoder["decoder"]): WrittenDecoder {
  const metadata = new UnkeptMetadata();
  return { decoder: make(metadata), metadata };
}

class Decoders {
  /** The number of series that exist, as the first thread said with the last body. */
  seriesCount = 0;
  readonly #bounds = { seriesCount: () => this.seriesCount };
  readonly attributes = new Attributes();
  readonly #limits: DecodeLimits;
  readonly #events: BodyDecoder<EventDecoder>;
  readonly #columns: ColumnBodies;
  readonly #remoteWrite: Record<"remote_write_1" | "remote_write_2", BodyDecoder<WrittenDecoder>>;
  readonly #numbers = new Map<DecodeKind, HeadNumbers>();

  constructor(limits: DecodeLimits) {
    this.#limits = limits;
    // The first thread bounds the bytes of all bodies.
    const inProgress = new BodiesInProgress();
    const options = { ...limits, ...this.attributes, ...this.#bounds };
    this.#events = new BodyDecoder(() => new EventDecoder(options), inProgress);
    this.#columns = new ColumnBodies(options, { ...limits, inProgress });
    this.#remoteWrite = {
      remote_write_1: new BodyDecoder(
        () => writtenDecoder((metadata) => new RemoteWriteDecoder({ metadata, ...this.#bounds })),
        inProgress,
      ),
      remote_write_2: new BodyDecoder(
        () => writtenDecoder(() => new RemoteWriteV2Decoder(this.#bounds)),
        inProgress,
      ),
    };
  }

  numbersOf(kind: DecodeKind): HeadNumbers {
    return this.#numbers.getOrInsertComputed(kind, () => new HeadNumbers(this.#bounds));
  }

  /** Decodes a body. Undefined if the first thread has to. Throws what decoders throw. */
  async decode(
    task: DecodeTask,
    body: Uint8Array,
  ): Promise<{ readonly batch: Batch; readonly samples: number } | undefined> {
    switch (task.kind) {
      case "events":
        return await this.#decoded(this.#events.decode(body.length, (free) => free.decoding(body, task)));
      case "columns":
        return await this.#decoded(this.#columns.decode(task.form, body, task.parameters));
      default:
        return await this.#decodeWritten(task, body);
    }
  }

  async #decoded(decoding: Batch | Promise<Batch>) {
    const batch = await decoding;
    return batch.rejected.length > REJECTED_MAX ? undefined : { batch, samples: 0 };
  }

  async #decodeWritten(task: WrittenTask, body: Uint8Array) {
    const { inflatedBytesMax } = this.#limits;
    return await this.#remoteWrite[task.kind].decode(task.bytes, function* ({ decoder, metadata }) {
      metadata.isSeen = false;
      const message = yield* inflatingSnappyBlock(body, inflatedBytesMax, (length) =>
        decoder.reserve(body, length),
      );
      const write = yield* decoder.decoding(message);
      const { batch, samples, histograms, exemplars, metadataDropped } = write;
      const isUnusual = metadata.isSeen || histograms + exemplars + metadataDropped > 0;
      return isUnusual || batch.rejected.length > REJECTED_MAX ? undefined : { batch, samples };
    });
  }
}

// The first message has the limits.
self.onmessage = ({ data }: MessageEvent<ToDecoder>) => {
  if (data.type === "open") work(new Decoders(data.limits));
};

/** Does what the further messages say. */
function work(decoders: Decoders): void {
  self.onmessage = ({ data }: MessageEvent<ToDecoder>) => {
    if (data.type === "rules") decoders.attributes.set(data.rules);
    else if (data.type === "forget") decoders.numbersOf(data.kind).forget();
    else if (data.type === "decode") void decode(decoders, data);
  };
}

type DecodeMessage = ToDecoder & { readonly type: "decode" };

async function decode(decoders: Decoders, { id, task, body, seriesCount }: DecodeMessage): Promise<void> {
  decoders.seriesCount = seriesCount;
  const decoded = await decoders.decode(task, body).catch(() => undefined);
  const heads = decoded && decoders.numbersOf(task.kind).of(decoded.batch.heads);
  if (decoded === undefined || heads === undefined || "tooMany" in heads) {
    const fresh = heads !== undefined && "tooMany" in heads ? heads.tooMany : undefined;
    post({ type: "left", id, body, fresh }, [body]);
    return;
  }
  const { heads: _, ...columns } = decoded.batch;
  const { head, timestampUs, value, position, text, stale, attributes } = columns;
  const parts = [head, timestampUs, value, position, text, stale, heads.numbers];
  for (const { offset, length } of attributes) parts.push(offset, length);
  post({ type: "decoded", id, batch: { ...heads, columns, samples: decoded.samples } }, parts);
}

/** Transfers the memory of arrays, which may share it. */
function post(message: FromDecoder, parts: readonly (Readonly<ArrayBufferView> | undefined)[]): void {
  const memory = new Set(parts.flatMap((part) => (part === undefined ? [] : [part.buffer])));
  self.postMessage(message, [...memory] as ArrayBuffer[]);
}
