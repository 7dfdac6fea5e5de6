// The port map: what it shows, and what it says of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TestBook, closeFaultless, colourAt, eventually, launchBrowser, legendColour, openPage, pointAt } from "./kit.mjs";

let book, browser;

before(async () => {
  book = await TestBook.make();
  await book.run("allocate", "openai_gpt-4", "1-3");
  await book.run("pool", "add", "openai", "20000-20999", "openai_*");
  [browser] = await Promise.all([launchBrowser(), book.serve()]);
});

after(async () => {
  await browser?.close();
  await book?.remove();
});

/** Goes to a port with the field for it, so that its cell is large. */
async function goTo(page, port) {
  await page.fill("#go-to-port", String(port));
  await page.press("#go-to-port", "Enter");
}

test("an allocated port has its role's colour, and pointing at it says whose it is", async () => {
  const page = await openPage(browser, book.url);
  const { ports } = await book.json("get", "openai_gpt-4", "2");
  for (const [role, port] of Object.entries(ports)) {
    await goTo(page, port);
    const place = await pointAt(page, port);
    const tip = await page.locator(".map-tip").innerText();
    assert.match(tip, new RegExp(`${port}\\s*${role}\\s*openai_gpt-4/app2`));
    await page.locator("#go-to-port").focus();
    assert.equal(await colourAt(page, place), await legendColour(page, role));
  }
  await closeFaultless(page);
});

test("what is reserved and what is free look different, and the legend counts them", async () => {
  const page = await openPage(browser, book.url);
  const told = (name) => page.locator("#legend button", { hasText: name }).locator("small").innerText();
  assert.equal(await told("backend"), "3");
  assert.equal(await told("frontend"), "3");
  assert.equal(await told("pool"), "1,000");
  for (const [port, state] of [[20500, "pool"], [4190, "blocked"], [4500, "free"]]) {
    await goTo(page, port);
    const place = await pointAt(page, port);
    await page.locator("#go-to-port").focus();
    assert.equal(await colourAt(page, place), await legendColour(page, state), `${port} is ${state}`);
  }
  await closeFaultless(page);
});

test("the legend takes states out of the picture", async () => {
  const page = await openPage(browser, book.url);
  await goTo(page, 5001);
  const place = await pointAt(page, 5001);
  await page.locator("#go-to-port").focus();
  const full = await colourAt(page, place);
  const backend = page.locator("#legend button", { hasText: "backend" });
  await backend.click();
  assert.equal(await backend.getAttribute("aria-pressed"), "false");
  assert.notEqual(await colourAt(page, place), full);
  await backend.click();
  assert.equal(await colourAt(page, place), full);
  await closeFaultless(page);
});

test("a click on a port opens its app; a click on a free one says that it is free", async () => {
  const page = await openPage(browser, book.url);
  const { x, y } = await pointAt(page, 5001);
  await page.mouse.click(x, y);
  const heading = page.locator("#panel h2");
  assert.equal(await heading.innerText(), "openai_gpt-4/app1");
  assert.match(await page.locator("#panel").innerText(), /5001[\s\S]*8001/);
  const free = await pointAt(page, 4500);
  await page.mouse.click(free.x, free.y);
  assert.equal(await heading.innerText(), "Port 4500");
  assert.match(await page.locator("#panel").innerText(), /Free\./);
  await closeFaultless(page);
});

test("the wheel zooms around the mouse, and dragging moves the picture", async () => {
  const page = await openPage(browser, book.url);
  const { x, y } = await pointAt(page, 9001);
  const under = () => page.locator(".map-tip b").innerText();
  for (let turns = 0; turns < 8; turns++) await page.mouse.wheel(0, -300);
  await page.mouse.move(x + 1, y);
  await page.mouse.move(x, y);
  assert.equal(await under(), "9001");
  await page.mouse.down();
  await page.mouse.move(x - 200, y, { steps: 4 });
  await page.mouse.up();
  assert.equal(await page.locator("#panel h2").innerText(), "What happened last", "dragging is no click");
  await page.mouse.move(x + 1, y);
  await page.mouse.move(x, y);
  assert.notEqual(await under(), "9001");
  await page.click("#zoom-reset");
  await pointAt(page, 9001);
  await closeFaultless(page);
});

test("the map is walked through with keys, says what is there, and opens the app", async () => {
  const page = await openPage(browser, book.url);
  const stage = page.locator("#stage");
  await stage.focus();
  const says = () => stage.getAttribute("aria-valuetext");
  await page.keyboard.press("Home");
  assert.match(await says(), /^1 blocked/);
  await goTo(page, 5000);
  assert.equal(await says(), "5000 free");
  await page.keyboard.press("ArrowRight");
  assert.equal(await says(), "5001 backend, openai_gpt-4/app1");
  await page.keyboard.press("Control+ArrowRight");
  assert.equal(await says(), "5002 free");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  const heading = page.locator("#panel h2");
  assert.equal(await heading.innerText(), "openai_gpt-4/app1");
  await eventually(() => heading.evaluate((it) => it === document.activeElement), Boolean, "the panel has the focus");
  await page.keyboard.press("Escape");
  assert.equal(await stage.evaluate((it) => it === document.activeElement), true, "the map has the focus again");
  await closeFaultless(page);
});
