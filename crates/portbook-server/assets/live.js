// Keeping the page's book the server's: a first reading, then the events, then what they cannot tell.

import { Book } from "./book.js";
import { Stream } from "./stream.js";

const PAGE = 5000;
/** What follows from changes is asked for this long after one, and not more often than every so long. */
const SETTLED = 300;
const AT_MOST_EVERY = 3000;
/** What this host uses changes without an event. */
const LOOK_AGAIN = 60000;
/** Changes that say all of what becomes of their ports. */
const TELLS_ALL = new Set(["allocated", "extended", "renewed", "noted"]);
/** How many of the latest changes are kept at hand. */
const RECENT = 50;

/**
 * Says what happens to the book, as events: `loaded`, `changed` (its detail: the records and the
 * ports concerned), `derived` (conflicts, figures and the host's use were read anew), `state`
 * (`loading`, `live`, `away`, `refused`) and `failed` (its detail: the problem).
 */
export class Live extends EventTarget {
  book = new Book();
  stats = undefined;
  recent = [];
  revision = 0;
  state = "loading";

  constructor(api) {
    super();
    this.api = api;
    this.stream = new Stream(api, {
      onState: (state) => this.#onState(state),
      onChange: (record) => this.#onChange(record),
      onMissed: () => this.load(),
    });
    this.waiting = [];
    this.derivedAt = 0;
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
        this.#onState(error.status ? "refused" : "away");
        this.dispatch("failed", error);
        if (error.status < 500) return;
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (this.attempt !== attempt) return;
      }
    }
    this.dispatch("loaded");
    this.stream.follow(this.revision);
  }

  async #read() {
    // First, so that the events tell whatever happens while the rest is read.
    const revision = await this.api.revision();
    const recent = await this.api.get("history", { last: RECENT });
    const apps = await this.api.list("allocations", PAGE);
    const [line, derived] = await Promise.all([this.api.get("ports"), this.#readDerived()]);
    return { revision, recent, apps, line, derived };
  }

  #take({ revision, recent, apps, line, derived }) {
    this.recent = recent.reverse();
    this.revision = revision;
    this.book.setApps(apps);
    this.book.setLine(line);
    this.#takeDerived(derived);
  }

  /** Reads what follows from the book and the host; the port line only where events cannot tell it. */
  async derive({ line = true } = {}) {
    const attempt = this.attempt;
    clearTimeout(this.settling);
    this.settling = undefined;
    try {
      const [derived, stretches] = await Promise.all([
        this.#readDerived(),
        line ? this.api.get("ports") : undefined,
      ]);
      if (this.attempt !== attempt) return;
      if (stretches) this.book.setLine(stretches);
      this.#takeDerived(derived);
      this.dispatch("derived");
    } catch {
      // The stream notices when the server is away, and all is read again when it is back.
    }
    this.derivedAt = Date.now();
  }

  /** Derives soon, however many changes ask for it. */
  #deriveSoon(line) {
    this.lineIsDue ||= line;
    const wait = Math.max(SETTLED, this.derivedAt + AT_MOST_EVERY - Date.now());
    this.settling ??= setTimeout(() => {
      const due = this.lineIsDue;
      this.lineIsDue = false;
      this.derive({ line: due });
    }, wait);
  }

  async #readDerived() {
    const [stats, conflicts] = await Promise.all([this.api.get("stats"), this.api.get("conflicts")]);
    return { stats, conflicts };
  }

  #takeDerived({ stats, conflicts }) {
    this.stats = stats;
    this.book.setConflicts(conflicts);
  }

  #onState(state) {
    const was = this.state;
    this.state = state;
    this.dispatch("state", state);
    if (was === "away" && state === "live" && this.stats) this.#catchUp();
  }

  /** After an absence: the events tell what was missed, unless the book is an older one now. */
  async #catchUp() {
    const revision = await this.api.revision().catch(() => 0);
    if (revision < this.revision) this.load();
    else this.derive();
  }

  #onChange(record) {
    this.revision = record.revision;
    if (record.space !== this.stats.space) return;
    // What was read may be younger than the revision that the events begin at.
    if (record.revision > (this.recent[0]?.revision ?? 0)) {
      this.recent = [record, ...this.recent].slice(0, RECENT);
    }
    this.waiting.push(record);
    // A commit of hundreds of changes is one picture.
    this.frame ??= requestAnimationFrame(() => this.#applyWaiting());
  }

  #applyWaiting() {
    this.frame = undefined;
    const records = this.waiting.splice(0);
    const ports = records.flatMap((record) => this.book.apply(record));
    this.dispatch("changed", { records, ports });
    this.#deriveSoon(records.some((record) => !TELLS_ALL.has(record.change)));
  }

  dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
