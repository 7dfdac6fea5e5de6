// The events of the server, followed through silences and restarts.
//
// `EventSource` cannot send a token, so the stream is read with `fetch`; the format is that of the HTML
// standard, section "Server-sent events".

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** The server says something at least every few seconds; longer than this it is gone. */
const LONGEST_SILENCE = 45000;

/**
 * Follows the events from a revision on.
 *
 * `onState("live" | "away")` tells how it stands, `onEvent({ id, event, data })` what comes, and
 * `onRefused(problem)` that the server will not tell what came after that revision.
 */
export class Stream {
  constructor(api, { onState, onEvent, onRefused }) {
    this.api = api;
    this.onState = onState;
    this.onEvent = onEvent;
    this.onRefused = onRefused;
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
        if (error.status && error.status < 500) return this.onRefused(error);
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
        if (message.id) this.revision = Number(message.id);
        this.onEvent(message);
      }
    } finally {
      clearTimeout(timer);
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
