/**
 * The page in Debian's Chromium, from a real gateway. A test sees what a person sees: texts, and pixels where a chart is.
 * Each page collects what the browser complained about: faults of scripts, and violations of the Content-Security-Policy.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find(Boolean);

/** Whether this machine has a browser. Tests of the page are skipped without one. */
export const hasBrowser = CHROMIUM !== undefined && CHROMIUM !== null;

/** How long a page may take to show something, on a machine that is busy. */
const WAIT_MS_MAX = 110_000;

const ROOT = join(import.meta.dir, "../..");

/** Bundles the page, unless the bundle is newer than its sources. */
export async function buildPage(): Promise<void> {
  const build = Bun.spawn([join(ROOT, "scripts/build-page"), "--if-stale"], { stderr: "pipe" });
  if ((await build.exited) !== 0) throw new Error(await new Response(build.stderr).text());
  const index = join(ROOT, "dist/ui/index.html");
  if (!existsSync(index) || statSync(index).size === 0) throw new Error("there is no bundle of the page");
}

export interface OpenPage {
  readonly page: Page;
  /** What the browser complained about so far. */
  readonly complaints: string[];
}

export class TestBrowser {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(): Promise<TestBrowser> {
    await buildPage();
    return new TestBrowser(
      await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox", "--disable-gpu"] }),
    );
  }

  /** A page of its own, without the cookies and the storage of others. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      timezoneId: "UTC",
      locale: "en-GB",
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS_MAX);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(`fault: ${error.message}`));
    page.on("console", (message) => {
      // A status that is no 2xx is for the page to show.
      if (message.type() === "error" && !/^Failed to load resource/.test(message.text()))
        complaints.push(`console: ${message.text()}`);
    });
    await page.goto(url);
    return { page, complaints };
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}
