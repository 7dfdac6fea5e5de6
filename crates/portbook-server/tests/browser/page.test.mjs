// The page as a whole: what it may load, who can use it, and on which screens.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { TestBook, closeFaultless, launchBrowser, openPage } from "./kit.mjs";

const VIEWS = ["map", "apps", "conflicts", "use", "history"];

let book, browser, axe;

before(async () => {
  book = await TestBook.make();
  await book.run("allocate", "openai_gpt-4", "1-40");
  await book.run("allocate", "leased", "1", "--ttl", "2h");
  await book.run("pool", "add", "openai", "20000-20999", "openai_*");
  axe = await readFile(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
  [browser] = await Promise.all([launchBrowser(), book.serve()]);
});

after(async () => {
  await browser?.close();
  await book?.remove();
});

test("every part of the page comes from the server, under a policy that allows nothing else", async () => {
  const answer = await fetch(book.url);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /^default-src 'none';/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const page = await openPage(browser, book.url);
  for (const view of VIEWS) {
    await page.locator(`[data-view=${view}]`).click();
    await page.locator(`#view-${view}`).waitFor();
  }
  await page.click("#allocate");
  await page.keyboard.press("Escape");
  await page.click("#theme");
  await closeFaultless(page);
});

test("the policy is in force: a script that is written into the page does not run", async () => {
  const page = await openPage(browser, book.url);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.textContent = "window.ran = true";
      document.body.append(script);
    } catch {
      // Trusted types refuse the text itself.
    }
    return Boolean(window.ran);
  });
  assert.equal(ran, false);
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[1440, 900], [360, 740]]) {
    test(`axe finds nothing wrong: ${colorScheme}, ${width} wide`, async () => {
      const page = await openPage(browser, book.url, { colorScheme, viewport: { width, height } });
      const check = async (what) => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        const told = violations.map(({ id, impact, nodes }) => `${what}: ${impact} ${id} ${nodes[0].html}`);
        assert.deepEqual(told, []);
      };
      for (const view of VIEWS) {
        await page.locator(`[data-view=${view}]`).click();
        await check(view);
      }
      await page.locator("[data-view=apps]").click();
      await page.locator("#app-table .row-button").first().click();
      await page.locator("#panel .held").waitFor();
      await check("an app");
      await page.keyboard.press("Escape");
      await page.click("#allocate");
      await check("a dialog");
      await closeFaultless(page);
    });
  }
}

for (const width of [360, 768, 1440, 2560]) {
  test(`nothing runs off a screen ${width} wide`, async () => {
    const page = await openPage(browser, book.url, { viewport: { width, height: 800 } });
    for (const view of VIEWS) {
      await page.locator(`[data-view=${view}]`).click();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert(over <= 0, `${view} is ${over} pixels too wide`);
      assert.equal(await page.locator("#allocate").isVisible(), true);
    }
    await closeFaultless(page);
  });
}

test("colours follow the system, and the switch overrules it", async () => {
  const page = await openPage(browser, book.url, { colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await ground();
  await page.emulateMedia({ colorScheme: "light" });
  const light = await ground();
  assert.notEqual(dark, light);
  await page.click("#theme");
  await page.click("#theme");
  assert.equal(await ground(), dark);
  await page.reload();
  assert.equal(await ground(), dark, "it is remembered");
  await closeFaultless(page);
});

test("the whole page is reached with Tab, with the focus in sight", async () => {
  const page = await openPage(browser, book.url);
  const reached = new Set();
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const here = await page.evaluate(() => {
      const it = document.activeElement;
      if (it === document.body) return undefined;
      const style = getComputedStyle(it);
      // The map draws the port that has the focus itself, and the fields have a frame besides.
      const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      return { name: it.id || it.dataset.view || it.className || it.textContent, isSeen };
    });
    if (!here) continue;
    assert(here.isSeen, `the focus on ${here.name} is seen`);
    reached.add(here.name);
  }
  for (const name of ["skip", "map", "history", "theme", "allocate", "go-to-port", "zoom-in", "stage"]) {
    assert(reached.has(name), `${name} is reached: ${[...reached].join(", ")}`);
  }
  await closeFaultless(page);
});

test("without motion nothing moves", async () => {
  const page = await openPage(browser, book.url, { reducedMotion: "reduce" });
  await book.run("allocate", "quiet", "1");
  await page.locator("#panel", { hasText: "quiet/app1" }).waitFor();
  const animations = await page.evaluate(() => document.getAnimations().length);
  assert.equal(animations, 0);
  await closeFaultless(page);
});
