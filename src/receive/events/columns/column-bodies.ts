/**
 * Decodes bodies of columns in slices, so that they do not delay other requests. Their modules are loaded for the first one.
 */
import type { BodiesInProgress } from "../../../http/body.ts";
import type { Batch } from "../../../model/sample.ts";
import { BodyDecoder, decodeBody } from "../../body-decoder.ts";
import type { ArrowEventDecoder } from "./arrow-events.ts";
import type { ColumnForm } from "./column-form.ts";
import type { GathererOptions } from "./column-gatherer.ts";
import type { ColumnParameters } from "./column-parameters.ts";
import type { JsonColumnsDecoder } from "./json-columns.ts";

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
    const loadArrow = async () => {
      const { ArrowEventDecoder } = await import("./arrow-events.ts");
      return () => new ArrowEventDecoder(options);
    };
    const loadJson = async () => {
      const { JsonColumnsDecoder } = await import("./json-columns.ts");
      return () => new JsonColumnsDecoder(options);
    };
    this.#arrow = new BodyDecoder({ load: loadArrow }, limits.inProgress);
    this.#json = new BodyDecoder({ load: loadJson }, limits.inProgress);
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput, TooLarge, Busy
   */
  async decode(form: ColumnForm, body: Uint8Array, parameters: ColumnParameters): Promise<Batch> {
    if (form === "json")
      return await this.#json.decode(body.length, (free) => free.decoding(body, parameters));
    const [{ readArrowStream }, { inflatedBytes, inflateZstd }] = await Promise.all([
      import("../../../wire/arrow/arrow-messages.ts"),
      import("./arrow-events.ts"),
    ]);
    const { inflatedBytesMax, inProgress } = this.#limits;
    const limits = { rowsMax: this.#rowsMax, inflatedBytesMax };
    const stream = await decodeBody(body.length, inProgress, () => readArrowStream(body, limits));
    const bytes = body.length + inflatedBytes(stream.packed);
    if (stream.packed.length > 0) await inProgress.inflations.run(() => inflateZstd(stream.packed));
    return await this.#arrow.decode(bytes, (free) => free.decoding(stream, parameters));
  }
}
