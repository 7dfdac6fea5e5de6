// Pages from elsewhere: what a browser lets them send, the server refuses, and nothing happens to the book.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { TestBook, launchBrowser } from "./kit.mjs";

let book, browser, elsewhere, evil;

before(async () => {
  book = await TestBook.make();
  await book.run("allocate", "openai_gpt-4", "1");
  await book.serve();
  elsewhere = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" });
    response.end("<!doctype html><title>elsewhere</title>");
  });
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  evil = `http://evil.example:${elsewhere.address().port}`;
  // Every name leads to this machine: what an attacker's name server would say.
  browser = await launchBrowser("--host-resolver-rules=MAP * 127.0.0.1");
});

after(async () => {
  await browser?.close();
  elsewhere?.close();
  await book?.remove();
});

/** What only those may see who may ask: the book as it was. */
async function isUntouched() {
  const history = await book.json("history");
  assert.deepEqual(history.map(({ change, app_num }) => [change, app_num]), [["allocated", 1]]);
}

async function openElsewhere(url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Asks from within a page in every way that fetch has; gives what the page could read. */
function ask(page, server) {
  return page.evaluate(async (server) => {
    const app = JSON.stringify({ model: "evil", app_num: 1 });
    const path = `${server}/api/v1/allocations`;
    const json = { "Content-Type": "application/json" };
    const tries = {
      read: [path, {}],
      opaque: [path, { mode: "no-cors" }],
      allocate: [path, { method: "POST", headers: json, body: app }],
      "allocate as text": [path, { method: "POST", body: app }],
      "allocate, opaque": [path, { method: "POST", mode: "no-cors", body: app }],
      "allocate as a form": [path, { method: "POST", mode: "no-cors", body: new URLSearchParams({ [app]: "" }) }],
      release: [`${path}/openai_gpt-4/1`, { method: "DELETE" }],
      repair: [`${server}/api/v1/repair`, { method: "POST", mode: "no-cors", body: '{"apply":true}' }],
      renew: [`${path}/openai_gpt-4/1/renew`, { method: "POST", mode: "no-cors" }],
      "the command's own": [`${server}/internal/v1/calls`, { method: "POST", mode: "no-cors", body: "{}" }],
    };
    const read = {};
    for (const [name, [url, options]] of Object.entries(tries)) {
      try {
        const answer = await fetch(url, options);
        read[name] = answer.type === "opaque" ? "opaque" : answer.status;
      } catch {
        read[name] = "refused";
      }
    }
    return read;
  }, server);
}

test("a page from elsewhere reads nothing and changes nothing", async () => {
  const page = await openElsewhere(evil);
  const statuses = [];
  page.on("response", (response) => {
    if (response.url().startsWith(book.url)) statuses.push(response.status());
  });
  const read = await ask(page, book.url);
  for (const [name, result] of Object.entries(read)) assert.match(String(result), /refused|opaque/, name);
  // What the browser sent all the same, the server refused, but for what anybody may see: a plain GET,
  // whose answer the page cannot read.
  for (const status of statuses) assert.match(String(status), /^(403|415|200)$/);
  await isUntouched();
  await page.context().close();
});

test("a form, a frame, a picture, a script, a socket and a stream of a page from elsewhere get nowhere", async () => {
  const page = await openElsewhere(evil);
  const got = await page.evaluate(async (server) => {
    const load = (kind, url) =>
      new Promise((resolve) => {
        const element = Object.assign(document.createElement(kind), { src: url });
        element.onload = () => resolve("loaded");
        element.onerror = () => resolve("refused");
        document.body.append(element);
      });
    const stream = new Promise((resolve) => {
      const events = new EventSource(`${server}/api/v1/events`);
      events.onopen = () => resolve("open");
      events.onerror = () => resolve("refused");
    });
    const socket = new Promise((resolve) => {
      const socket = new WebSocket(server.replace("http", "ws") + "/api/v1/events");
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    });
    return [
      await load("img", `${server}/api/v1/allocations`),
      await load("script", `${server}/api/v1/allocations`),
      await stream,
      await socket,
    ];
  }, book.url);
  assert.equal(got[0], "refused");
  assert.deepEqual(got.slice(2), ["refused", "refused"]);
  await page.setContent(
    `<form method="post" enctype="text/plain" action="${book.url}/api/v1/allocations">
      <input name='{"model":"evil","app_num":2,"x":"' value='"}'></form>`,
  );
  const answered = page.waitForResponse((response) => response.url().startsWith(book.url));
  await page.evaluate(() => document.forms[0].submit());
  assert.equal((await answered).status(), 403);
  await isUntouched();
  await page.context().close();
});

test("a name that is made to lead here reads nothing and changes nothing", async () => {
  const { port } = new URL(book.url);
  for (const name of ["rebound.example", "127.0.0.1.nip.example", "localhost.evil.example"]) {
    const url = `http://${name}:${port}`;
    const page = await (await browser.newContext()).newPage();
    const direct = await page.goto(url);
    assert.equal(direct.status(), 403, name);
    assert.equal((await direct.json()).code, "foreign-host");
    // The page came from the attacker's machine; only then the name was turned to this one.
    await page.route(`${url}/page`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    await page.goto(`${url}/page`);
    const read = await ask(page, url);
    for (const [what, result] of Object.entries(read)) assert.match(String(result), /403|refused/, `${name}: ${what}`);
    await page.context().close();
  }
  await isUntouched();
});
