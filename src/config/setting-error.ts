/** The error of a setting. */

/** A setting is unknown, or its value is invalid: exit code 2. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}
