/** The error of a setting. */
import { BadInput } from "../model/errors.ts";

/** A setting is unknown, or its value is invalid: exit code 2. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/**
 * Reads texts of settings by a room that knows nothing of settings.
 *
 * @param read throws `BadInput`, whose message names the setting
 * @throws SettingError with its message
 */
export async function readingSettings<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof BadInput ? new SettingError(error.message) : error;
  }
}
