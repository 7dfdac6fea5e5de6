// Speaking to the server. Nothing else in the page makes requests.

const ROOT = "/api/v1/";
const READY = "/ready";
const TOKEN = "portbook-token";

/** What the server answered instead of what was asked for: RFC 9457, with the command's hint. */
export class Problem extends Error {
  constructor(status, { code, detail, title, hint } = {}) {
    super(detail || title || `the server answered ${status}`);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("the server does not answer");
    this.hint = "Start it again with `portbook serve`: the page goes on by itself.";
  }
}

export class Api {
  /** `askForToken(refused)` asks the person and resolves once there is one, or rejects. */
  constructor(askForToken) {
    this.askForToken = askForToken;
    this.space = undefined;
    this.asking = undefined;
  }

  /** The token lives as long as the tab, and no longer. */
  set token(token) {
    sessionStorage.setItem(TOKEN, token);
  }

  get token() {
    return sessionStorage.getItem(TOKEN);
  }

  get(path, query) {
    return this.#json("GET", path, query);
  }

  /** A list that comes in pages: each is asked for behind the place where the one before it ended. */
  async list(path, limit) {
    const items = [];
    let cursor;
    do {
      const answer = await this.open(path, { query: { limit, cursor } });
      items.push(...(await answer.json()));
      const next = answer.headers.get("portbook-cursor");
      cursor = next ? decodeURIComponent(next) : undefined;
    } while (cursor);
    return items;
  }

  post(path, body, query) {
    return this.#json("POST", path, query, body);
  }

  delete(path, query) {
    return this.#json("DELETE", path, query);
  }

  /** At which revision the whole book is, whatever the space. */
  async revision() {
    const answer = await this.#send("GET", READY, {}, {});
    const { revision } = await answer.json();
    return revision;
  }

  /** The answer itself, which may still be on its way. */
  open(path, { query, headers, signal }) {
    return this.#send("GET", path, query, { headers, signal });
  }

  async #json(method, path, query, body) {
    const headers = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await this.#send(method, path, query, {
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return answer.status === 204 ? undefined : answer.json();
  }

  async #send(method, path, query, options) {
    for (;;) {
      const token = this.token;
      const headers = { ...options.headers };
      if (token) headers.authorization = `Bearer ${token}`;
      let answer;
      try {
        answer = await fetch(this.#address(path, query), {
          ...options,
          method,
          headers,
          cache: "no-store",
          credentials: "omit",
        });
      } catch (error) {
        throw error.name === "AbortError" ? error : new Unreachable();
      }
      if (answer.status === 401) await this.#renewToken(token);
      else if (answer.ok) return answer;
      else throw new Problem(answer.status, await answer.json().catch(() => ({})));
    }
  }

  /** Several requests may find out at once that a token is due: the person is asked once. */
  async #renewToken(refused) {
    if (this.token !== refused) return;
    this.asking ??= this.askForToken(Boolean(refused)).finally(() => (this.asking = undefined));
    this.token = await this.asking;
  }

  #address(path, query = {}) {
    if (path === READY) return new URL(path, location.origin);
    const address = new URL(ROOT + path, location.origin);
    const all = { space: this.space, ...query };
    for (const [name, value] of Object.entries(all)) {
      if (value !== undefined && value !== "") address.searchParams.set(name, value);
    }
    return address;
  }
}

/** The path of an app's allocation. */
export function appPath(model, number) {
  return `allocations/${encodeURIComponent(model)}/${number}`;
}
