// What the tests share: a book with a server, and a browser that notes whatever it should not do.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { chromium } from "playwright-core";

const portbook = process.env.PORTBOOK;
assert(portbook, "PORTBOOK names the command that is tested");

/** Generous: a machine that runs many tests at once is slow, and what waits here waits for an event. */
export const PATIENCE = 60_000;

/** A browser without what would look for the internet. */
export function launchBrowser(...words) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...words,
    ],
  });
}

/** A book in a folder of its own, with the command for it. */
export class TestBook {
  /** Who asks, as the history tells it. */
  user = "tester";

  static async make() {
    const book = new TestBook();
    book.folder = await mkdtemp(join(tmpdir(), "portbook-dashboard-"));
    return book;
  }

  /** Runs the command: another process than the server. */
  async run(...words) {
    const { stdout } = await promisify(execFile)(portbook, words, {
      cwd: this.folder,
      env: this.environment,
      maxBuffer: 64 << 20,
    });
    return stdout;
  }

  async json(...words) {
    return JSON.parse(await this.run(...words, "--json"));
  }

  get environment() {
    return {
      ...process.env,
      USER: this.user,
      HOME: this.folder,
      XDG_CONFIG_HOME: this.folder,
      XDG_DATA_HOME: this.folder,
      PORTBOOK_STORE: `sqlite:${join(this.folder, "book.db")}`,
    };
  }

  /** Starts the server and waits until it says where it listens: at the same place as before, if it ran. */
  async serve(...words) {
    const listen = this.url ? new URL(this.url).host : "127.0.0.1:0";
    const server = spawn(portbook, ["serve", "--listen", listen, ...words], {
      cwd: this.folder,
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.server = server;
    this.url = await new Promise((resolve, reject) => {
      let told = "";
      const hear = (chunk) => {
        told += chunk;
        const found = /https?:\/\/127\.0\.0\.1:\d+/.exec(told);
        if (found) resolve(found[0]);
      };
      server.stdout.on("data", hear);
      server.stderr.on("data", hear);
      server.on("exit", (status) => reject(new Error(`the server ended (${status}): ${told}`)));
    });
    return this.url;
  }

  /** Stops the server, which ends with everything done that it accepted. */
  async stop() {
    const { server } = this;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.on("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }

  async remove() {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A page that notes errors, violations of the policy, and requests that leave the server. */
export async function openPage(browser, url, { path = "/", ready = true, routes = {}, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  for (const [address, answer] of Object.entries(routes)) await page.route(address, answer);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error.stack}`));
  page.on("console", (message) => {
    // The browser itself notes each refused request; the pages that provoke one expect it.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) {
      page.faults.push(`console: ${message.text()}`);
    }
  });
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (origin !== new URL(url).origin) page.faults.push(`request to ${request.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`violates the policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  await page.goto(url + path);
  if (ready) await isLive(page);
  return page;
}

/** Waits until the page has read the book and follows it. */
export function isLive(page) {
  return page.waitForSelector("#standing[data-state=live]");
}

/** Nothing happened in the page that should not. */
export async function closeFaultless(page) {
  const { faults } = page;
  await page.context().close();
  assert.deepEqual(faults, []);
}

/** Waits until `read` gives what `is` accepts. */
export async function eventually(read, is, what) {
  const end = Date.now() + PATIENCE;
  let last;
  while (Date.now() < end) {
    last = await read();
    if (is(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: still ${JSON.stringify(last)}`);
}

/**
 * Moves the mouse to a port of the map as somebody would who looks for it: by the number that the map
 * says under the mouse, first up and down, then left and right. Gives the middle of its cell.
 */
export async function pointAt(page, port) {
  const box = await page.locator("#stage").boundingBox();
  const at = async (x, y) => {
    await page.mouse.move(x, y);
    const text = await page.locator(".map-tip:not([hidden]) b").allTextContents();
    return text.length ? Number(text[0]) : undefined;
  };
  /** The places between which `isBefore` turns from true to false. */
  const edge = async (low, high, isBefore) => {
    while (high - low > 0.5) {
      const middle = (low + high) / 2;
      if (await isBefore(middle)) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  const [left, right, top, bottom] = [box.x + 46.5, box.x + box.width, box.y + 18.5, box.y + box.height];
  // Port 0 and what is behind the last port are said to be nothing.
  const near = (place, end, number) => number ?? (place < end / 2 ? 0 : Infinity);
  const endOfLine = await edge(top, bottom, async (y) => near(y, bottom, await at(left, y)) <= port);
  const line = endOfLine - 1;
  const begin = await edge(left - 1, right, async (x) => near(x, right, await at(x, line)) < port);
  const end = await edge(begin, right, async (x) => near(x, right, await at(x, line)) <= port);
  const x = (begin + end) / 2;
  const startOfLine = await edge(top - 1, line, async (y) => near(y, bottom, await at(x, y)) < port);
  const y = (startOfLine + endOfLine) / 2;
  assert.equal(await at(x, y), port, `the map shows ${port}`);
  return { x, y };
}

/** The colour of a place in the map, once the mouse has left it. */
export async function colourAt(page, { x, y }) {
  await page.mouse.move(5, 5);
  return page.evaluate(
    ([left, top]) =>
      new Promise((resolve) =>
        requestAnimationFrame(() =>
          requestAnimationFrame(() => {
            const canvas = document.querySelector("#stage canvas");
            const box = canvas.getBoundingClientRect();
            const ratio = canvas.width / box.width;
            const context = canvas.getContext("2d");
            const [red, green, blue] = context.getImageData((left - box.left) * ratio, (top - box.top) * ratio, 1, 1).data;
            resolve(`rgb(${red}, ${green}, ${blue})`);
          }),
        ),
      ),
    [x, y],
  );
}

/** The colour that the legend gives a state. */
export function legendColour(page, state) {
  return page
    .locator(`#legend .swatch[data-state=${state}]`)
    .evaluate((swatch) => getComputedStyle(swatch).backgroundColor);
}
