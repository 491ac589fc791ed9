/** Errors as messages between threads: a class does not survive the copy, so its name is sent. */
import { BadInput, Busy, RequestError, Timeout } from "../../../model/errors.ts";
import { ArchiveAway } from "../archived/promql-archive.ts";
import {
  ExecutionError,
  LimitReached,
  NotSupported,
  ParseError,
  QueryCanceled,
  QueryError,
  QueryTimeout,
  UpstreamUnavailable,
} from "../query-errors.ts";

export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly field?: string;
  readonly stack?: string;
}

/** Errors of requests that both threads throw. */
const CLASSES: readonly (new (message: string, field?: string) => RequestError)[] = [
  ArchiveAway,
  BadInput,
  ExecutionError,
  LimitReached,
  NotSupported,
  ParseError,
  QueryCanceled,
  QueryError,
  QueryTimeout,
  UpstreamUnavailable,
];

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  // The stack of a request's error says nothing that its message does not.
  return error instanceof RequestError ? { name, message, field: error.field } : { name, message, stack };
}

export function errorOf({ name, message, field, stack }: PlainError): Error {
  const known = CLASSES.find((each) => each.name === name);
  if (known !== undefined) return new known(message, field);
  if (name === Busy.name) return new Busy(message);
  if (name === Timeout.name) return new Timeout(message);
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
