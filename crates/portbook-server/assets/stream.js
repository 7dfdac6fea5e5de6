// The events of the server, followed through silences and restarts.
//
// `EventSource` cannot send a token, so the stream is read with `fetch`; the format is that of the HTML
// standard, section "Server-sent events". Where no stream comes through, what is new is asked for.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** The server says something at least every few seconds; longer than this it is gone. */
const LONGEST_SILENCE = 45000;
/** How often what is new is asked for without a stream, and how much of it at once. */
const ASK_EVERY = 2000;
const AT_ONCE = 500;
/** The status that says that what came after a revision is not told any more. */
const GONE = 410;

/**
 * Follows the changes from a revision on.
 *
 * `onState("live" | "away")` tells how it stands, `onChange(record)` what happened, as the history
 * records it, and `onMissed()` that more happened than is told, or that the book is an older one now.
 */
export class Stream {
  constructor(api, { onState, onChange, onMissed }) {
    Object.assign(this, { api, onState, onChange, onMissed });
  }

  /** Begins after `revision`; what was followed before is left. */
  async follow(revision) {
    this.stop();
    const stopped = new AbortController();
    this.stopped = stopped;
    this.revision = revision;
    let pause = FIRST_PAUSE;
    while (!stopped.signal.aborted) {
      try {
        await this.#listen(stopped, () => (pause = FIRST_PAUSE));
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (error.status === GONE) return this.onMissed();
        if (error.status < 500) return this.#askAgainAndAgain(stopped);
      }
      if (stopped.signal.aborted) return;
      this.onState("away");
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  stop() {
    this.stopped?.abort();
  }

  async #listen(stopped, onOpen) {
    const silent = new AbortController();
    const answer = await this.api.open("events", {
      headers: { accept: "text/event-stream", "last-event-id": String(this.revision) },
      signal: AbortSignal.any([stopped.signal, silent.signal]),
    });
    onOpen();
    this.onState("live");
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), LONGEST_SILENCE);
    };
    heard();
    try {
      for await (const message of messages(answer.body, heard)) {
        if (stopped.signal.aborted) return;
        this.#tell(JSON.parse(message.data));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #tell(record) {
    if (record.revision <= this.revision) return;
    this.revision = record.revision;
    this.onChange(record);
  }

  async #askAgainAndAgain(stopped) {
    while (!stopped.signal.aborted) {
      try {
        const head = await this.api.revision();
        const isNews = head > this.revision;
        const records = isNews ? await this.api.get("history", { last: AT_ONCE }) : [];
        if (stopped.signal.aborted) return;
        const isNew = (record) => record.revision > this.revision;
        const areTooMany = records.length === AT_ONCE && records.every(isNew);
        if (head < this.revision || areTooMany) return this.onMissed();
        this.onState("live");
        records.forEach((record) => this.#tell(record));
        this.revision = Math.max(this.revision, head);
      } catch {
        if (stopped.signal.aborted) return;
        this.onState("away");
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
    }
  }
}

/** The messages of a stream of events. */
async function* messages(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let message = { event: "message", data: [] };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (message.data.length) yield { ...message, data: message.data.join("\n") };
        message = { event: "message", data: [] };
        continue;
      }
      const [, field, text = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
      if (field === "data") message.data.push(text);
      else if (field === "event") message.event = text;
      else if (field === "id") message.id = text;
    }
  }
}
