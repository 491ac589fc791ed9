/**
 * Stores lines of another format: converts each part of a file to events, pushes these, and gives the answer about the lines
 * of the file. What stores the events does not know the format.
 */
import { inSlices } from "../model/tasks/time-slices.ts";
import type { ConvertedLines, LineConverter } from "./line-converter.ts";
import type { MappedFormat } from "./line-format.ts";

/** Whole lines of a file. */
interface LinePart {
  readonly body: Uint8Array<ArrayBuffer>;
  /** The first line of the file that is not blank. */
  readonly firstLine: string;
}

/** The answer about lines. Indexes count the lines that are not blank, from 0, and ascend. */
interface LineAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly errors: readonly { readonly index: number; readonly reason: string; readonly cause: string }[];
  readonly causes: Readonly<Record<string, number>>;
  readonly warnings: readonly {
    readonly index: number;
    readonly field?: string;
    readonly message: string;
    readonly events?: number;
  }[];
  readonly warningsOmitted: number;
  /** The events that the lines became. */
  readonly events?: Uint8Array;
}

/** Pushes the events of a part. */
type EventPush<Part> = (part: Part, extraLabels: readonly string[]) => Promise<LineAnswer>;

/** As many as the gateway lists for one push. */
const ERRORS_MAX = 1_000;

/** The converters of the files that are read by turns. One per header. */
const CONVERTERS_MAX = 100;

export class LineConversion {
  readonly #format: MappedFormat;
  readonly #converters = new Map<string, LineConverter>();

  constructor(format: MappedFormat) {
    this.#format = format;
  }

  /**
   * Pushes the events of a part's lines. Nothing is pushed if they have none; then nothing is accepted.
   *
   * @throws WrongHeader, TooManyEvents, and what `push` throws
   */
  async push<Part extends LinePart>(
    part: Part,
    extraLabels: readonly string[],
    push: EventPush<Part>,
  ): Promise<LineAnswer> {
    const converted = await inSlices(this.#converter(part.firstLine).converting(part.body));
    const { body, lineOf } = converted;
    const answer = lineOf.length === 0 ? NOTHING : await push({ ...part, body }, extraLabels);
    return { ...aboutLines(answer, converted), events: body };
  }

  #converter(firstLine: string): LineConverter {
    const header = this.#format.hasHeader ? firstLine : "";
    const before = this.#converters.get(header);
    if (before !== undefined) return before;
    const converter = this.#format.converter(header);
    if (this.#converters.size >= CONVERTERS_MAX) this.#converters.clear();
    this.#converters.set(header, converter);
    return converter;
  }
}

const NOTHING: LineAnswer = {
  accepted: 0,
  duplicates: 0,
  rejected: 0,
  errors: [],
  causes: {},
  warnings: [],
  warningsOmitted: 0,
};

/** The answer about events as one about lines. Of the events of one line that are rejected, the first one is described. */
function aboutLines(answer: LineAnswer, { lineOf, rejected }: ConvertedLines): LineAnswer {
  const byLine = new Map<number, LineAnswer["errors"][number]>();
  const ofEvents = answer.errors.map((each) => ({ ...each, index: lineOf[each.index] ?? -1 }));
  for (const error of [...rejected, ...ofEvents]) {
    if (!byLine.has(error.index)) byLine.set(error.index, error);
  }
  const causes = { ...answer.causes };
  for (const { cause } of rejected) causes[cause] = (causes[cause] ?? 0) + 1;
  return {
    ...answer,
    rejected: answer.rejected + rejected.length,
    errors: [...byLine.values()].sort((a, b) => a.index - b.index).slice(0, ERRORS_MAX),
    causes,
    warnings: answer.warnings.map((each) => ({ ...each, index: lineOf[each.index] ?? -1 })),
  };
}
