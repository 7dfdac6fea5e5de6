// The table of apps, with as many as a space holds: what a search or a scroll costs is counted in rows
// that are made, not in time.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TestBook, closeFaultless, eventually, launchBrowser, openPage } from "./kit.mjs";

const MODELS = 14;
const EACH = 1000;
/** Rows in sight at 900 pixels, those kept above and below, and some to spare. */
const MOST_ROWS = 60;

let book, browser;

before(async () => {
  book = await TestBook.make();
  for (let model = 1; model <= MODELS; model++) {
    await book.run("allocate", `vendor_model-${model}`, `1-${EACH}`, "--no-host-check", "--quiet");
  }
  [browser] = await Promise.all([launchBrowser(), book.serve()]);
});

after(async () => {
  await browser?.close();
  await book?.remove();
});

/** Counts the rows that are made from now on. */
function countRows(page) {
  return page.evaluate(() => {
    window.made = 0;
    window.counter?.disconnect();
    window.counter = new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) if (node.nodeName === "TR") window.made++;
    });
    window.counter.observe(document.querySelector("#app-table tbody"), { childList: true });
  });
}

const madeRows = (page) => page.evaluate(() => window.made);
const rows = (page) => page.locator("#app-table tbody tr[aria-rowindex]");
const firstRow = (page) => rows(page).first().innerText();

test("14,000 apps are listed with a screenful of rows", async () => {
  const page = await openPage(browser, book.url, { path: "/#apps" });
  await page.getByText("14,000 apps", { exact: true }).waitFor();
  assert.equal(await page.locator("#app-table table").getAttribute("aria-rowcount"), "14001");
  assert((await rows(page).count()) <= MOST_ROWS);
  await closeFaultless(page);
});

test("searching, filtering and sorting make no more rows than are in sight", async () => {
  const page = await openPage(browser, book.url, { path: "/#apps" });
  const result = page.locator("#app-count");
  const search = page.locator("#app-filters [name=text]");
  const costs = async (what, act, says) => {
    await countRows(page);
    await act();
    await eventually(() => result.innerText(), (text) => text === says, what);
    const made = await madeRows(page);
    assert(made <= MOST_ROWS, `${what} made ${made} rows`);
  };
  const { ports } = await book.json("get", "vendor_model-7", "77");
  await costs("a port", () => search.fill(String(ports.backend)), "1 of 14,000 apps");
  assert.match(await firstRow(page), /vendor_model-7\s+77/);
  await costs("a model and a number", () => search.fill("model-3/ app12"), "112 of 14,000 apps".replace("112", String(countOf("12"))));
  await costs("nothing of that name", () => search.fill("absent"), "0 of 14,000 apps");
  await costs("everything", () => search.fill(""), "14,000 apps");
  await costs("a model", () => page.selectOption("#app-filters [name=model]", "vendor_model-9"), "1,000 of 14,000 apps");
  await costs("all models", () => page.selectOption("#app-filters [name=model]", ""), "14,000 apps");
  const order = page.locator("#app-table th", { hasText: "Backend" });
  await countRows(page);
  await order.locator("button").click();
  assert.equal(await order.getAttribute("aria-sort"), "ascending");
  assert.match(await firstRow(page), /5001/);
  await order.locator("button").click();
  assert.equal(await order.getAttribute("aria-sort"), "descending");
  assert((await madeRows(page)) <= 2 * MOST_ROWS);
  await closeFaultless(page);
});

/** How many numbers from 1 to 1000 begin with these digits. */
function countOf(digits) {
  let found = 0;
  for (let number = 1; number <= EACH; number++) if (String(number).startsWith(digits)) found++;
  return found;
}

test("scrolling through all of them keeps a screenful", async () => {
  const page = await openPage(browser, book.url, { path: "/#apps" });
  await page.getByText("14,000 apps", { exact: true }).waitFor();
  await countRows(page);
  const scrolls = 40;
  await page.evaluate(async (times) => {
    const scroller = document.querySelector("#app-table");
    for (let at = 1; at <= times; at++) {
      scroller.scrollTop = (at / times) * scroller.scrollHeight;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }
  }, scrolls);
  assert((await madeRows(page)) <= scrolls * MOST_ROWS);
  assert((await rows(page).count()) <= MOST_ROWS);
  assert.equal(await rows(page).last().getAttribute("aria-rowindex"), "14001");
  await closeFaultless(page);
});

test("the table is one stop for Tab, and the keys go through its rows and open an app", async () => {
  const page = await openPage(browser, book.url, { path: "/#apps" });
  await page.getByText("14,000 apps", { exact: true }).waitFor();
  await page.locator("#app-table th", { hasText: "Since" }).locator("button").focus();
  await page.keyboard.press("Tab");
  const here = () => page.evaluate(() => document.activeElement.closest("tr")?.getAttribute("aria-rowindex"));
  assert.equal(await here(), "2");
  await page.keyboard.press("End");
  assert.equal(await here(), "14001");
  await page.keyboard.press("PageUp");
  assert(Number(await here()) < 14001);
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  assert.equal(await here(), "3");
  await page.keyboard.press("Enter");
  const heading = page.locator("#panel h2");
  await eventually(() => heading.innerText(), (text) => text === "vendor_model-1/app2", "the app is open");
  await page.keyboard.press("Escape");
  assert.equal(await here(), "3", "the focus is back in its row");
  await closeFaultless(page);
});
