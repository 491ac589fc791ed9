/**
 * Bodies of columns, as a push has them: recognises them, and decodes them in slices, so that they do not delay other
 * requests.
 */
import type { BodiesInProgress } from "../../../http/body.ts";
import type { Batch } from "../../../model/sample.ts";
import { readArrowStream } from "../../../wire/arrow/arrow-messages.ts";
import { BodyDecoder, decodeBody } from "../../body-decoder.ts";
import { ArrowEventDecoder, inflatedBytes, inflateZstd } from "./arrow-events.ts";
import type { GathererOptions } from "./column-gatherer.ts";
import type { ColumnParameters } from "./column-parameters.ts";
import { isOfColumns, JsonColumnsDecoder } from "./json-columns.ts";

/** How the columns of a body are encoded. */
export type ColumnForm = "arrow" | "json";

const ARROW_TYPE = /^application\/vnd\.apache\.arrow\.(?:stream|file)$/;
const ARROW_STREAM = [0xff, 0xff, 0xff, 0xff];
const ARROW_FILE = [...Buffer.from("ARROW1")];

/** The form of a body of columns. Undefined if it has events one by one. */
export function formOf(contentType: string, body: Uint8Array): ColumnForm | undefined {
  if (ARROW_TYPE.test(contentType)) return "arrow";
  // Neither can begin a text in UTF-8 that is JSON. curl sends the content type of a form.
  if (begins(body, ARROW_STREAM) || begins(body, ARROW_FILE)) return "arrow";
  return isOfColumns(Buffer.from(body.buffer, body.byteOffset, body.length)) ? "json" : undefined;
}

function begins(body: Uint8Array, bytes: readonly number[]): boolean {
  for (let at = 0; at < bytes.length; at++) if (body[at] !== bytes[at]) return false;
  return true;
}

export interface ColumnLimits {
  readonly inflatedBytesMax: number;
  readonly inProgress: BodiesInProgress;
}

export class ColumnBodies {
  readonly #limits: ColumnLimits;
  readonly #rowsMax: number;
  readonly #arrow: BodyDecoder<ArrowEventDecoder>;
  readonly #json: BodyDecoder<JsonColumnsDecoder>;

  constructor(options: GathererOptions, limits: ColumnLimits) {
    this.#limits = limits;
    this.#rowsMax = options.eventsMax;
    this.#arrow = new BodyDecoder(() => new ArrowEventDecoder(options), limits.inProgress);
    this.#json = new BodyDecoder(() => new JsonColumnsDecoder(options), limits.inProgress);
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput, TooLarge, Busy
   */
  async decode(form: ColumnForm, body: Uint8Array, parameters: ColumnParameters): Promise<Batch> {
    if (form === "json")
      return await this.#json.decode(body.length, (free) => free.decoding(body, parameters));
    const { inflatedBytesMax, inProgress } = this.#limits;
    const limits = { rowsMax: this.#rowsMax, inflatedBytesMax };
    const stream = await decodeBody(body.length, inProgress, () => readArrowStream(body, limits));
    const bytes = body.length + inflatedBytes(stream.packed);
    if (stream.packed.length > 0) await inProgress.inflations.run(() => inflateZstd(stream.packed));
    return await this.#arrow.decode(bytes, (free) => free.decoding(stream, parameters));
  }
}
