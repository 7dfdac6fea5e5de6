// Takes the pictures of the dashboard that the documents show: `node screenshots.mjs FOLDER`.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { writeFile } from "node:fs/promises";

import { TestBook, launchBrowser, openPage, pointAt } from "./kit.mjs";

const folder = process.argv[2];
const MODELS = [
  ["anthropic_claude-sonnet", 160],
  ["openai_gpt-5", 145],
  ["google_gemini-pro", 130],
  ["x-ai_grok-4", 120],
  ["mistralai_codestral", 95],
  ["deepseek_deepseek-r1", 90],
  ["qwen_qwen3-coder", 72],
  ["meta-llama_llama-4", 51],
  ["moonshotai_kimi-k2", 44],
  ["z-ai_glm-4.5", 38],
];

/** Somebody else's server, on a port that was free when an app got it. */
const SERVER = 'require("net").createServer().listen(5023, "127.0.0.1", () => console.log("listening"))';

let stranger;
const book = await fillBook();
const browser = await launchBrowser();
try {
  await book.serve();
  await take("dashboard-dark", { colorScheme: "dark" }, async (page) => {
    await pointAt(page, 8345);
  });
  await take("dashboard-light", { colorScheme: "light" }, async (page) => {
    await page.fill("#go-to-port", "5001");
    await page.press("#go-to-port", "Enter");
    await page.click("#zoom-in");
    await page.focus("#stage");
    await page.keyboard.press("Enter");
    await page.locator("#panel .feed").waitFor();
  });
  await take("dashboard-apps", { colorScheme: "light", path: "/#apps" }, async (page) => {
    await page.fill("#app-filters [name=text]", "grok");
    await page.locator("#app-table .row-button").nth(3).click();
    await page.locator("#panel .feed").waitFor();
  });
  await take("dashboard-conflicts", { colorScheme: "dark", path: "/#conflicts" }, async (page) => {
    await page.locator("#repair > *").first().waitFor();
  });
  await take("dashboard-narrow", {
    colorScheme: "dark",
    viewport: { width: 390, height: 780 },
    deviceScaleFactor: 2,
  });
} finally {
  await browser.close();
  await book.remove();
  stranger.kill();
}

async function take(name, options, prepare = () => {}) {
  const page = await openPage(browser, book.url, options);
  await prepare(page);
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.context().close();
}

/** A book as it may look after some weeks, on a host where somebody else took a port. */
async function fillBook() {
  const made = await TestBook.make();
  made.user = "alice";
  await made.run("pool", "add", "google", "20000-20999", "google_*");
  await writeFile(
    join(made.folder, "portbook.toml"),
    "roles = [\"backend\", \"frontend\"]\n[ranges.ws]\nbase = 15001\n",
  );
  for (const [model, apps] of MODELS) {
    await made.run("allocate", model, `1-${apps}`, "--quiet");
  }
  await made.run("allocate", "openai_gpt-5", "1-60", "--roles", "ws", "--quiet");
  await made.run("release", "qwen_qwen3-coder", "10-24", "--quiet");
  const promised = Array.from({ length: 24 }, (_, at) => ({
    model: "nvidia_nemotron",
    app_number: at + 1,
    backend_port: 30001 + 2 * at,
    frontend_port: 31001 + 2 * at,
  }));
  await writeFile(join(made.folder, "port_config.json"), JSON.stringify(promised));
  stranger = spawn(process.execPath, ["-e", SERVER], { cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  await once(stranger.stdout, "data");
  return made;
}
