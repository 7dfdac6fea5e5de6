// Keeping the page's book the server's: a first reading, then the events, then what they cannot tell.

import { Book } from "./book.js";
import { Problem } from "./api.js";
import { Stream } from "./stream.js";

const PAGE = 1000;
/** What follows from changes is asked for once they pause for this long. */
const SETTLED = 400;
/** What this host uses changes without an event. */
const LOOK_AGAIN = 60000;
/** How many of the latest changes are kept at hand. */
const RECENT = 50;

/**
 * Says what happens to the book, as events: `loaded`, `changed` (its detail: the records and the
 * ports concerned), `derived` (conflicts, figures, pools or the host's use were read anew), `state`
 * (`loading`, `live`, `away`) and `failed` (its detail: the problem).
 */
export class Live extends EventTarget {
  book = new Book();
  stats = undefined;
  pools = [];
  recent = [];
  revision = 0;
  state = "loading";

  constructor(api) {
    super();
    this.api = api;
    this.stream = new Stream(api, {
      onState: (state) => this.#onState(state),
      onEvent: (message) => this.#onEvent(message),
      onRefused: () => this.load(),
    });
    this.waiting = [];
    setInterval(() => {
      if (!document.hidden && this.state === "live") this.derive();
    }, LOOK_AGAIN);
  }

  /** Reads everything anew, then follows the events; tries again for as long as nobody answers. */
  async load() {
    this.stream.stop();
    const attempt = (this.attempt = {});
    this.#onState(this.stats ? this.state : "loading");
    for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
      try {
        const read = await this.#read();
        if (this.attempt !== attempt) return;
        this.#take(read);
        break;
      } catch (error) {
        if (this.attempt !== attempt) return;
        this.dispatch("failed", error);
        this.#onState("away");
        if (error instanceof Problem && error.status < 500) return;
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (this.attempt !== attempt) return;
      }
    }
    this.dispatch("loaded");
    this.stream.follow(this.revision);
  }

  async #read() {
    const recent = await this.api.get("history", { last: RECENT });
    const apps = [];
    let cursor;
    do {
      const page = await this.api.get("allocations", { limit: PAGE, cursor });
      apps.push(...page.items);
      cursor = page.next;
    } while (cursor);
    const [line, derived] = await Promise.all([this.api.get("ports"), this.#readDerived()]);
    return { recent, apps, line, derived };
  }

  #take({ recent, apps, line, derived }) {
    this.recent = recent.reverse();
    this.revision = this.recent[0]?.revision ?? 0;
    this.book.setApps(apps);
    this.book.setLine(line);
    this.#takeDerived(derived);
  }

  /** Reads what follows from the book and the host. */
  async derive() {
    const attempt = this.attempt;
    try {
      const [derived, line] = await Promise.all([this.#readDerived(), this.api.get("ports")]);
      if (this.attempt !== attempt) return;
      this.book.setLine(line);
      this.#takeDerived(derived);
      this.dispatch("derived");
    } catch {
      // The stream will notice that the server is away, and read again when it is back.
    }
  }

  async #readDerived() {
    const [stats, conflicts, pools] = await Promise.all([
      this.api.get("stats"),
      this.api.get("conflicts"),
      this.api.get("pools"),
    ]);
    return { stats, conflicts, pools };
  }

  #takeDerived({ stats, conflicts, pools }) {
    this.stats = stats;
    this.pools = pools;
    this.book.setConflicts(conflicts);
  }

  #onState(state) {
    const was = this.state;
    this.state = state;
    this.dispatch("state", state);
    if (was === "away" && state === "live" && this.stats) this.derive();
  }

  #onEvent(message) {
    if (message.event === "reset") return void this.load();
    const record = JSON.parse(message.data);
    if (record.revision <= this.revision) return;
    this.revision = record.revision;
    if (record.space !== this.stats.space) return;
    this.recent = [record, ...this.recent].slice(0, RECENT);
    this.waiting.push(record);
    // A commit of hundreds of changes is one picture.
    this.frame ??= requestAnimationFrame(() => this.#applyWaiting());
  }

  #applyWaiting() {
    this.frame = undefined;
    const records = this.waiting.splice(0);
    const ports = records.flatMap((record) => this.book.apply(record));
    this.dispatch("changed", { records, ports });
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.derive(), SETTLED);
  }

  dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
