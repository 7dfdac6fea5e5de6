// What changes the book: others, while the page is open, and the page itself.

import assert from "node:assert/strict";
import { copyFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { TestBook, closeFaultless, eventually, isLive, launchBrowser, openPage } from "./kit.mjs";

let book, browser;

before(async () => {
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
});

beforeEach(async () => {
  book = await TestBook.make();
  await book.run("allocate", "openai_gpt-4", "1");
});

afterEach(async () => {
  await book?.remove();
});

const backends = (page) => page.locator("#legend button", { hasText: "backend" }).locator("small").innerText();
const heading = (page) => page.locator("#panel h2").innerText();

test("what another process allocates and releases is told by the stream, without a reload", async () => {
  const page = await openPage(browser, await book.serve());
  // A page that no stream reaches asks for the revision before it shows anything new.
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  assert.equal(await backends(page), "1");
  await book.run("allocate", "x-ai/grok-4", "1-5");
  await eventually(() => backends(page), (text) => text === "6", "the map has the new apps");
  await page.getByRole("link", { name: /^Apps/ }).click();
  await page.getByText("6 apps", { exact: true }).waitFor();
  await page.getByRole("link", { name: /^Map/ }).click();
  assert.match(await page.locator("#panel").innerText(), /x-ai\/grok-4\/app5\s*allocated/);
  await book.run("release", "x-ai/grok-4", "1-5");
  await eventually(() => backends(page), (text) => text === "1", "the map has let them go");
  assert(!asked.includes("/ready"), `it was asked for: ${asked}`);
  await closeFaultless(page);
});

test("where no stream comes through, changes are seen all the same", async () => {
  await book.serve();
  const page = await openPage(browser, book.url, {
    routes: { "**/api/v1/events*": (route) => route.fulfill({ status: 404, body: "{}" }) },
  });
  await book.run("allocate", "x-ai/grok-4", "1-5");
  await eventually(() => backends(page), (text) => text === "6", "the map has the new apps");
  await closeFaultless(page);
});

test("a space that was empty is followed, and no other one is seen in it", async () => {
  const page = await openPage(browser, await book.serve(), { path: "/?space=lab" });
  assert.equal(await backends(page), "0");
  await book.run("allocate", "elsewhere", "1-3");
  await book.run("allocate", "here", "1-2", "--space", "lab");
  await eventually(() => backends(page), (text) => text === "2", "its apps are there");
  assert.doesNotMatch(await page.locator("#panel").innerText(), /elsewhere/);
  await closeFaultless(page);
});

test("an app gets its ports from the page, with the keys alone", async () => {
  const page = await openPage(browser, await book.serve());
  await page.locator("#allocate").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("mistral_large");
  await page.keyboard.press("Tab");
  await page.keyboard.type("7");
  await page.keyboard.press("Enter");
  await eventually(() => heading(page), (text) => text === "mistral_large/app7", "the new app is shown");
  const { ports } = await book.json("get", "mistral_large", "7");
  await page.locator("#messages", { hasText: `mistral_large/app7 has backend ${ports.backend}` }).waitFor();
  await closeFaultless(page);
});

test("what is refused is said with what to do about it, and the dialog stays", async () => {
  const page = await openPage(browser, await book.serve());
  await page.click("#allocate");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Apps").fill("three");
  await dialog.getByLabel("Model").fill("m");
  await dialog.getByRole("button", { name: "Allocate" }).click();
  await dialog.getByText("Write 3, 1-30, or 1,4,9-12.").waitFor();
  await dialog.getByLabel("Apps").fill("1");
  await dialog.getByText("Further roles, an end").click();
  await dialog.getByLabel("Further roles", { exact: false }).last().fill("db");
  await dialog.getByRole("button", { name: "Allocate" }).click();
  await dialog.getByText("[ranges.db]", { exact: false }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await dialog.count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), "allocate", "the focus is where it was");
  await closeFaultless(page);
});

test("an app is released from the page after it was confirmed, and not before", async () => {
  const page = await openPage(browser, await book.serve(), { path: "/#apps" });
  await page.locator("#app-table").getByRole("button", { name: "openai_gpt-4" }).click();
  await page.locator("#panel").getByRole("button", { name: "Release…" }).click();
  const dialog = page.getByRole("dialog");
  assert.match(await dialog.innerText(), /Release openai_gpt-4\/app1\?[\s\S]*5001[\s\S]*8001/);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await book.run("get", "openai_gpt-4", "1");
  await page.locator("#panel").getByRole("button", { name: "Release…" }).click();
  await dialog.getByRole("button", { name: "Release" }).click();
  await page.getByText("It holds no ports now.", { exact: false }).waitFor();
  assert.deepEqual(await book.json("list"), []);
  await closeFaultless(page);
});

test("a stranger on an app's port is a conflict with a hint, on the map and in the list", async () => {
  const stranger = createServer();
  await new Promise((resolve, reject) => stranger.on("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = stranger.address();
  await book.run("allocate", "unlucky", "1", "--ports", `backend=${port}`, "--no-host-check");
  const page = await openPage(browser, await book.serve(), { path: "/#conflicts" });
  await page.locator("#conflict-list", { hasText: `unlucky/app1 is in use on this host` }).waitFor();
  const hint = await page.locator(".conflict-hint").first().innerText();
  assert.match(hint, /end that process/);
  await page.getByRole("link", { name: /^Apps/ }).click();
  await page.locator("#app-table tr", { hasText: "unlucky" }).getByText("unusable").waitFor();
  stranger.close();
  await closeFaultless(page);
});

test("while the server is away the page keeps what it knows and says so, and goes on when it is back", async () => {
  const page = await openPage(browser, await book.serve());
  await book.stop();
  await page.waitForSelector("#standing[data-state=away]");
  assert.equal(await backends(page), "1");
  await book.run("allocate", "meanwhile", "1-3");
  await book.serve();
  await isLive(page);
  await eventually(() => backends(page), (text) => text === "4", "what happened meanwhile is there");
  await closeFaultless(page);
});

test("a book that was put back to an earlier state is shown as it is now", async () => {
  const file = join(book.folder, "book.db");
  await copyFile(file, `${file}.backup`);
  const page = await openPage(browser, await book.serve());
  await book.run("allocate", "later", "1-3");
  await eventually(() => backends(page), (text) => text === "4", "the later apps are there");
  await book.stop();
  for (const end of ["-wal", "-shm"]) await rm(file + end, { force: true });
  await copyFile(`${file}.backup`, file);
  await book.serve();
  await eventually(() => backends(page), (text) => text === "1", "they are gone");
  await closeFaultless(page);
});

test("a conflict is repaired from the page, once the plan was seen and confirmed", async () => {
  const stranger = createServer();
  await new Promise((resolve, reject) => stranger.on("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = stranger.address();
  await book.run("allocate", "unlucky", "1", "--ports", `backend=${port}`, "--no-host-check");
  const page = await openPage(browser, await book.serve(), { path: "/#conflicts" });
  const plan = page.locator("#repair .moves tbody tr");
  await plan.filter({ hasText: "unlucky/app1" }).filter({ hasText: String(port) }).waitFor();
  assert.equal((await book.json("get", "unlucky", "1")).ports.backend, port, "a plan moves nothing");
  await page.click("#apply-repair");
  await page.getByRole("dialog").getByRole("button", { name: "Move 1 port" }).click();
  await page.locator("#messages", { hasText: "1 port moved." }).waitFor();
  await page.getByText("None: every claim on a port can be honoured.").waitFor();
  const { backend } = (await book.json("get", "unlucky", "1")).ports;
  assert.notEqual(backend, port);
  await page.getByRole("link", { name: /^Apps/ }).click();
  await page.locator("#app-table tr", { hasText: "unlucky" }).filter({ hasText: String(backend) }).waitFor();
  stranger.close();
  await closeFaultless(page);
});

test("a server with tokens is given one, which the tab alone keeps and which says what may be done", async () => {
  const token = (await book.run("token", "eyes", "--scope", "read", "--file", "tokens", "--quiet")).trim();
  const page = await openPage(browser, await book.serve("--token-file", "tokens"), { ready: false });
  const dialog = page.getByRole("dialog");
  const give = async (text) => {
    await dialog.getByLabel("Token").fill(text);
    await page.keyboard.press("Enter");
  };
  await dialog.getByText("This server asks for a token").waitFor();
  await give("wrong");
  await dialog.getByText("It did not accept the one it was given.", { exact: false }).waitFor();
  await give(token);
  await isLive(page);
  assert.equal(await backends(page), "1");
  await page.reload();
  await isLive(page);
  const kept = await page.evaluate(() => [Object.values(sessionStorage), JSON.stringify(localStorage), document.cookie]);
  assert.deepEqual(kept[0], [token]);
  assert.doesNotMatch(kept[1] + kept[2], new RegExp(token));
  await page.click("#allocate");
  await dialog.getByLabel("Model").fill("m");
  await page.keyboard.press("Enter");
  await dialog.getByText("scope", { exact: false }).first().waitFor();
  await closeFaultless(page);
});
