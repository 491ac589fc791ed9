/** Recognises bodies of columns among those of a push. */
import { endOfValue, skipSpace } from "../../../wire/json/json-extent.ts";

/** How the columns of a body are encoded. */
export type ColumnForm = "arrow" | "json";

const ARROW_TYPE = /^application\/vnd\.apache\.arrow\.(?:stream|file)$/;
const ARROW_STREAM = [0xff, 0xff, 0xff, 0xff];
const ARROW_FILE = [...Buffer.from("ARROW1")];

/** A member before `columns` is a name or a text, and no longer than this. */
const MEMBER_BYTES_MAX = 65_536;
const MEMBERS_MAX = 64;
const [QUOTE, COMMA, COLON, OPEN_BRACKET, OPEN_BRACE] = [34, 44, 58, 91, 123];
/** Members that an event has, and an object of columns has not. */
const EVENT_MEMBERS: readonly string[] = ["value", "@timestamp", "timestamp"];

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

/** Whether a body is one of columns: its first object has `columns`, and one of them is an array. */
function isOfColumns(body: Buffer): boolean {
  let at = skipSpace(body, body[0] === 0xef ? 3 : 0, MEMBER_BYTES_MAX);
  if (body[at] === OPEN_BRACKET) at = skipSpace(body, at + 1, at + MEMBER_BYTES_MAX);
  if (body[at] !== OPEN_BRACE) return false;
  return eachMember(body, at, (name, value) => {
    if (EVENT_MEMBERS.includes(name)) return false;
    if (name !== "columns") return undefined;
    // The columns of an event are texts.
    return (
      body[value] === OPEN_BRACE &&
      eachMember(body, value, (_, cell) => (body[cell] === OPEN_BRACKET ? true : undefined))
    );
  });
}

/** Calls `decide` for the first members of an object until it decides. */
function eachMember(
  body: Buffer,
  open: number,
  decide: (name: string, value: number) => boolean | undefined,
): boolean {
  const space = (from: number) => skipSpace(body, from, from + MEMBER_BYTES_MAX);
  let at = space(open + 1);
  for (let member = 0; member < MEMBERS_MAX && body[at] === QUOTE; member++) {
    const end = endOfValue(body, at, Math.min(body.length, at + MEMBER_BYTES_MAX));
    if (end < 0) return false;
    const name = body.toString("latin1", at + 1, Math.min(end - 1, at + 64));
    at = space(end);
    if (body[at] !== COLON) return false;
    at = space(at + 1);
    const decided = decide(name, at);
    if (decided !== undefined) return decided;
    const next = endOfValue(body, at, Math.min(body.length, at + MEMBER_BYTES_MAX));
    if (next < 0) return false;
    at = space(next);
    if (body[at] !== COMMA) return false;
    at = space(at + 1);
  }
  return false;
}
