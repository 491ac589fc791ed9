/**
 * The nodes of a YAML document with their positions, for files whose fields are all known. Aliases and merge keys are
 * resolved, so that a reader never sees them.
 *
 * Each error is noted with its line and column, and reading continues, so that one check of a file finds all of them.
 */
import type { Document, Node, YAMLParseError } from "yaml";
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import { yaml } from "../../program/deferred-libraries.ts";

/** Something that is wrong at a place of a file. Lines and columns count from 1. */
export interface PlacedProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type YamlNode = Node;

/** A field of a mapping. */
export interface YamlField {
  readonly key: YamlNode;
  readonly value: YamlNode | null;
}

/** Aliases that are resolved in one file: a file of a few lines could otherwise have billions of nodes. */
const ALIASES_MAX = 10_000;
/** Merge keys within merge keys. */
const MERGE_DEPTH_MAX = 10;

/** Reading ends. The tree has noted the problem. */
export class TooManyAliases extends Error {
  override readonly name = "TooManyAliases";
}

export class YamlTree {
  readonly problems: PlacedProblem[] = [];
  readonly #lines = new (yaml().LineCounter)();
  readonly #document: Document;
  #anchored: ReadonlyMap<YamlNode, YamlNode> | undefined;
  #aliases = 0;

  constructor(text: string) {
    this.#document = yaml().parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
      // Texts stay as they are written: `1.50` is a label value.
      schema: "core",
    });
    // Errors after the first one are often its consequences.
    const [wrong] = this.#document.errors;
    if (wrong !== undefined) this.#noteSyntax(wrong);
  }

  /** Undefined if the document is empty or not YAML. */
  get root(): YamlNode | undefined {
    return this.problems.length > 0 ? undefined : (this.#document.contents ?? undefined);
  }

  place(node: YamlNode | undefined): Omit<PlacedProblem, "message"> {
    const { line, col } = this.#lines.linePos(node?.range?.[0] ?? 0);
    // An offset of 0 in an empty file has no line.
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  note(node: YamlNode | undefined, message: string): void {
    this.problems.push({ ...this.place(node), message });
  }

  /**
   * The fields of a mapping by name. A field that is not in `known` and one that is there twice are noted. Undefined, and
   * noted, if the node is not a mapping. Null counts as an empty mapping.
   *
   * @param known the fields that may be there. Undefined: any
   */
  fields(
    node: YamlNode | null,
    what: string,
    known?: readonly string[],
    at = node ?? undefined,
  ): Map<string, YamlField> | undefined {
    const found = this.resolved(node);
    const fields = new Map<string, YamlField>();
    if (isNull(found)) return fields;
    if (!yaml().isMap(found)) {
      this.note(at, `expected ${what}, a mapping, got ${describe(found)}`);
      return undefined;
    }
    this.#collect(found, fields, known, 0);
    return fields;
  }

  /** The items of a list. Undefined, and noted, if the node is not a list. Null counts as an empty list. */
  items(node: YamlNode | null, what: string, at: YamlNode | undefined): (YamlNode | null)[] | undefined {
    const found = this.resolved(node);
    if (isNull(found)) return [];
    if (yaml().isSeq(found)) return found.items.map((item) => item as YamlNode | null);
    this.note(node ?? at, `expected ${what}, a list, got ${describe(found)}`);
    return undefined;
  }

  /**
   * The text of a scalar as it is written: numbers and booleans are texts too. Null is an empty text. Undefined, and
   * noted, if the node is a mapping or a list.
   */
  text(node: YamlNode | null, name: string, at: YamlNode | undefined): string | undefined {
    const found = this.resolved(node);
    if (isNull(found)) return "";
    if (!yaml().isScalar(found)) {
      this.note(node ?? at, `expected a text for ${quote(name)}, got ${describe(found)}`);
      return undefined;
    }
    return typeof found.value === "string" ? found.value : (found.source ?? String(found.value));
  }

  /**
   * The node that an alias stands for.
   *
   * @throws TooManyAliases, which is noted
   */
  resolved(node: YamlNode | null): YamlNode | null {
    if (!yaml().isAlias(node)) return node;
    this.#aliases++;
    if (this.#aliases > ALIASES_MAX) {
      const message = `the file resolves more than ${ALIASES_MAX} aliases`;
      this.note(node, message);
      throw new TooManyAliases(message);
    }
    this.#anchored ??= anchoredNodes(this.#document);
    const found = this.#anchored.get(node);
    if (found !== undefined) return found;
    this.note(node, `the alias ${quote(`*${node.source}`)} has no anchor before it`);
    return null;
  }

  #collect(
    map: YamlNode,
    fields: Map<string, YamlField>,
    known: readonly string[] | undefined,
    depth: number,
  ): void {
    if (!yaml().isMap(map)) return;
    const own = new Set<string>();
    const merged: (YamlNode | null)[] = [];
    for (const pair of map.items) {
      const key = this.resolved(pair.key as YamlNode | null);
      const value = (pair.value ?? null) as YamlNode | null;
      const name = yaml().isScalar(key) ? String(key.source ?? key.value) : undefined;
      if (key === null || name === undefined) {
        this.note(key ?? map, "expected a text as the name of a field");
      } else if (name === "<<" && yaml().isScalar(key) && key.type === "PLAIN") {
        merged.push(value);
      } else if (own.has(name)) {
        this.note(key, `the field ${quote(name)} is there twice`);
      } else if (known !== undefined && !known.includes(name)) {
        const near = nearest(name, known);
        const hint = near === undefined ? `expected one of ${known.join(", ")}` : `did you mean ${near}?`;
        this.note(key, `unknown field ${quote(name)}: ${hint}`);
      } else {
        own.add(name);
        // The fields of the outer mapping are read first, and count.
        if (!fields.has(name)) fields.set(name, { key, value });
      }
    }
    for (const value of merged) {
      const source = this.resolved(value);
      if (depth >= MERGE_DEPTH_MAX) this.note(map, `"<<" may be nested ${MERGE_DEPTH_MAX} deep at most`);
      else if (yaml().isMap(source)) this.#collect(source, fields, known, depth + 1);
      else if (yaml().isSeq(source)) {
        for (const item of source.items) {
          const each = this.resolved(item as YamlNode | null);
          if (each !== null) this.#collect(each, fields, known, depth + 1);
        }
      } else this.note(value ?? map, `expected a mapping for "<<", got ${describe(source)}`);
    }
  }

  #noteSyntax({ code, message, pos: [offset] }: YAMLParseError): void {
    const { line, col } = this.#lines.linePos(offset);
    const what =
      code === "MULTIPLE_DOCS" ? "expected one document, found a second one" : message.split("\n")[0];
    this.problems.push({
      line: Math.max(1, line),
      column: Math.max(1, col),
      message: `the file is not valid YAML: ${what}`,
    });
  }
}

/** By alias: the last node before it that has its anchor. The package's own look-up walks the document each time. */
function anchoredNodes(document: Document): ReadonlyMap<YamlNode, YamlNode> {
  const byName = new Map<string, YamlNode>();
  const byAlias = new Map<YamlNode, YamlNode>();
  yaml().visit(document, {
    Node(_, node) {
      if (yaml().isAlias(node)) {
        const found = byName.get(node.source);
        if (found !== undefined) byAlias.set(node, found);
      } else if (node.anchor !== undefined) byName.set(node.anchor, node);
    },
  });
  return byAlias;
}

function isNull(node: YamlNode | null): node is null {
  return node === null || (yaml().isScalar(node) && node.value === null);
}

function describe(node: YamlNode | null): string {
  if (yaml().isMap(node)) return "a mapping";
  if (yaml().isSeq(node)) return "a list";
  if (yaml().isScalar(node)) return `the text ${quote(String(node.source ?? node.value))}`;
  return "nothing";
}
