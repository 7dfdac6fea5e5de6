// The panel beside the view: the app or port that is looked at, else what happened last.

import { element, byId, icon } from "./element.js";
import { announce } from "./announce.js";
import { appPath } from "./api.js";
import { STATES, stateOfRole } from "./states.js";
import { describe } from "./views/map.js";
import { detailOf, timeOf } from "./views/history.js";
import { appKey, counted, distance, exact } from "./words.js";

const CHANGES_SHOWN = 12;

export class Panel {
  constructor(live, api, { onSelect, onPort, onRelease }) {
    Object.assign(this, { live, api, onSelect, onPort, onRelease });
    this.element = byId("panel");
    this.shown = undefined;
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    for (const news of ["loaded", "changed", "derived"]) {
      live.addEventListener(news, ({ detail }) => this.#refresh(detail));
    }
  }

  /** Shows an app; the focus goes to it, and back to where it was when the panel is closed. */
  async showApp(key, { takesFocus = true } = {}) {
    const app = this.live.book.apps.get(key);
    if (!app) return this.#showGone(key, takesFocus);
    this.#begin({ key }, takesFocus);
    this.onSelect(app);
    this.#render(app, undefined, undefined);
    if (takesFocus) this.#focus();
    const [record, history] = await Promise.all([
      this.api.get(appPath(app.model, app.number)).catch(() => undefined),
      this.api.get("history", { model: app.model, app_num: app.number, last: CHANGES_SHOWN }).catch(() => []),
    ]);
    if (this.shown?.key === key) this.#render(app, record, history.reverse());
  }

  /** Shows a port that no app holds. */
  showPort(port, { takesFocus = true } = {}) {
    this.#begin({ port }, takesFocus);
    this.onSelect(undefined);
    const state = STATES[this.live.book.states[port]];
    const conflicts = this.live.book.conflictsOfPort.get(port) ?? [];
    this.element.replaceChildren(
      this.#head(`Port ${port}`),
      element(
        "p",
        { class: "held-port" },
        element("span", { class: "swatch", "data-state": state.id, "aria-hidden": "true" }),
        element("span", {}, sentence(state.meaning)),
      ),
      ...conflictsOf(conflicts),
    );
    if (takesFocus) this.#focus();
  }

  /** Shows what happened last. */
  close() {
    if (!this.shown) return;
    this.shown = undefined;
    delete this.element.dataset.open;
    this.onSelect(undefined);
    this.#showFeed();
    this.cameFrom?.focus();
    this.cameFrom = undefined;
  }

  #begin(shown, takesFocus) {
    if (takesFocus && !this.element.contains(document.activeElement)) this.cameFrom = document.activeElement;
    this.shown = shown;
    this.element.dataset.open = "";
  }

  #focus() {
    this.element.querySelector("h2").focus();
  }

  #refresh(detail) {
    if (!this.shown) return this.#showFeed();
    // What has the focus stays where it is, unless the news is about what is shown.
    const isAboutIt = detail?.records?.some((it) => appKey(it.model, it.app_num) === this.shown.key);
    const hadFocus = this.element.contains(document.activeElement);
    if (hadFocus && !isAboutIt) return;
    if (this.shown.key) this.showApp(this.shown.key, { takesFocus: hadFocus });
    else this.showPort(this.shown.port, { takesFocus: hadFocus });
  }

  #head(title) {
    return element(
      "div",
      { class: "panel-head" },
      element("h2", { tabindex: "-1" }, title),
      element(
        "button",
        { type: "button", class: "button quiet square", "aria-label": "Close", onclick: () => this.close() },
        icon("close"),
      ),
    );
  }

  #render(app, record, history) {
    const hadFocus = this.element.contains(document.activeElement);
    const focused = hadFocus ? document.activeElement.dataset.role : undefined;
    const conflicts = this.live.book.conflictsOfApp.get(app.key) ?? [];
    this.element.replaceChildren(
      this.#head(app.key),
      element("ul", { class: "held" }, Object.entries(app.ports).map(([role, port]) => this.#port(role, port))),
      factsOf(app, record),
      element(
        "div",
        { class: "actions" },
        element("button", { type: "button", class: "button", "data-role": "copy", onclick: () => copy(app) }, icon("copy"), "Copy as variables"),
        element(
          "button",
          { type: "button", class: "button danger", "data-role": "release", onclick: () => this.onRelease(app) },
          "Release…",
        ),
      ),
      ...conflictsOf(conflicts),
      ...(history?.length ? [element("h3", {}, "What happened to it"), feed(history, undefined)] : []),
    );
    if (!hadFocus) return;
    const again = focused && this.element.querySelector(`[data-role=${focused}]`);
    (again || this.element.querySelector("h2")).focus();
  }

  #port(role, port) {
    const state = STATES[stateOfRole(role)];
    return element(
      "li",
      { class: "held-port" },
      element("span", { class: "swatch", "data-state": state.id, "aria-hidden": "true" }),
      element("span", {}, role),
      element("span", { class: "mono" }, String(port)),
      element(
        "span",
        {},
        element(
          "button",
          { type: "button", class: "button quiet square", "aria-label": `Show ${port} on the map`, title: "Show on the map", onclick: () => this.onPort(port) },
          icon("here"),
        ),
        element(
          "a",
          { class: "button quiet square", href: `${location.protocol === "https:" ? "https" : "http"}://${location.hostname}:${port}/`, target: "_blank", rel: "noopener noreferrer", "aria-label": `Open ${role} ${port} in a new tab`, title: "Open in a new tab" },
          icon("out"),
        ),
      ),
    );
  }

  #showGone(key, takesFocus) {
    this.#begin({ key }, takesFocus);
    this.onSelect(undefined);
    this.element.replaceChildren(
      this.#head(key),
      element("p", { class: "quiet-text" }, "It holds no ports now. When it asks again it gets those it had, if they are still free."),
    );
    if (takesFocus) this.#focus();
  }

  #showFeed() {
    const { recent } = this.live;
    this.element.replaceChildren(
      element("h2", { tabindex: "-1" }, "What happened last"),
      recent.length
        ? feed(recent.slice(0, 20), (key) => this.showApp(key))
        : element("p", { class: "quiet-text" }, "Nothing yet. ", element("code", {}, "portbook allocate openai_gpt-4 1"), " gives an app its ports."),
    );
  }
}

function feed(records, onOpen) {
  const entry = (record) => {
    const isOfApp = record.app_num !== undefined;
    const key = isOfApp && appKey(record.model, record.app_num);
    const name = isOfApp && onOpen
      ? element("button", { type: "button", class: "mono", onclick: () => onOpen(key) }, key)
      : element("span", {}, onOpen ? "" : record.change.replace("-", " "));
    const did = onOpen ? `${record.change.replace("-", " ")} ${detailOf(record)}` : detailOf(record);
    return element("li", {}, element("div", { class: "what" }, name, element("span", { class: "change" }, did)), timeOf(record));
  };
  return element("ol", { class: "feed" }, records.map(entry));
}

function factsOf(app, record) {
  const expires = record?.expires_at;
  const facts = [
    ["Since", element("time", { datetime: app.createdAt }, exact(app.createdAt))],
    ["Ports", app.isAvailable ? "usable" : element("span", { class: "unusable" }, "unusable")],
    record && ["Came by", record.source.replace("_", " ")],
    expires && ["Lease", `ends ${distance(expires)}, ${exact(expires)}`],
  ];
  return element(
    "dl",
    { class: "facts" },
    facts.filter(Boolean).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

function conflictsOf(conflicts) {
  if (!conflicts.length) return [];
  return [
    element("h3", {}, counted(conflicts.length, "conflict")),
    ...conflicts.map((conflict) =>
      element("div", { class: "trouble" }, element("p", {}, sentence(conflict.message)), element("p", {}, sentence(conflict.hint))),
    ),
  ];
}

async function copy(app) {
  const lines = Object.entries(app.ports).map(([role, port]) => `${role.toUpperCase().replaceAll(/\W/g, "_")}_PORT=${port}`);
  try {
    await navigator.clipboard.writeText(lines.join("\n") + "\n");
    announce("Copied");
  } catch {
    announce("The browser does not let the page copy");
  }
}

function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".") : "";
}
