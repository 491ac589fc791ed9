/**
 * Libraries that most starts never use: each is loaded by the first call of its function, and not when a module that may need
 * it is loaded. `import()` would make every function that parses a text asynchronous.
 */

/** Regular expressions of RE2's syntax, in time linear in the text. */
export function re2(): typeof import("re2js") {
  return require("re2js");
}

export function yaml(): typeof import("yaml") {
  return require("yaml");
}

export function toml(): typeof import("smol-toml") {
  return require("smol-toml");
}

/** Compression with snappy's block format. */
export function snappy(): typeof import("snappyjs") {
  return require("snappyjs");
}
