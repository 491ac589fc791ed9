/** Where an archive is: a folder, or a prefix of an S3-compatible bucket. Files have paths with slashes below it. */

/** A file, and what it must be when it has been written. */
export interface SpooledFile {
  /** Where it is on this machine. */
  readonly path: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface ArchiveTarget {
  /** Where it is, without secrets. */
  readonly text: string;
  /** The sizes of the files whose paths begin with a text, by path. */
  list(prefix: string): Promise<Map<string, number>>;
  /** The contents of a small file. Undefined if there is none. */
  read(path: string): Promise<string | undefined>;
  /** Reads a file whole, and returns its SHA-256 in hexadecimal. Rejects if there is none. */
  hash(path: string): Promise<string>;
  /** Copies a file to this machine. Rejects if there is none. */
  fetch(path: string, to: string): Promise<void>;
  /**
   * Writes a file, which then is there whole or not at all, and checks what is there. The file on this machine may be moved.
   */
  put(path: string, file: SpooledFile): Promise<void>;
  /** Writes a small file, as `put`. */
  putText(path: string, text: string): Promise<void>;
  /** Removes a file. It is no error if there is none. */
  remove(path: string): Promise<void>;
}
