/** The values of one tag in many rows, as a decoder of columns passes them on. */

/** UTF-8 bytes of `text`, by row. A length of 0 means that the row does not have the tag. The bytes are not checked. */
export interface TextCells {
  readonly is: "texts";
  readonly text: Uint8Array;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/** The index of a value, by row; -1 means that the row does not have the tag. */
export interface CodedCells {
  readonly is: "coded";
  readonly codes: Int32Array;
  readonly values: readonly CodedValue[];
}

/** A text, or what a message says about a value that cannot be a tag. */
export type CodedValue = string | { readonly wrong: string };

export type TagCells = TextCells | CodedCells;
