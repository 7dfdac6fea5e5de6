// The dashboard: puts the parts together and goes from view to view.

import { Api } from "./api.js";
import { Live } from "./live.js";
import { Panel } from "./panel.js";
import { announce } from "./announce.js";
import { byId } from "./element.js";
import { setUpTheme } from "./theme.js";
import { count, counted } from "./words.js";
import { allocateDialog } from "./dialogs/allocate.js";
import { releaseDialog } from "./dialogs/release.js";
import { tokenDialog } from "./dialogs/token.js";
import { AppsView } from "./views/apps.js";
import { ConflictsView } from "./views/conflicts.js";
import { HistoryView } from "./views/history.js";
import { MapView } from "./views/map.js";
import { UseView } from "./views/use.js";

const api = new Api(tokenDialog);
const live = new Live(api);
const panel = new Panel(live, api, { onSelect: select, onPort: showPort, onRelease: release });
const openApp = (key) => panel.showApp(key);
const views = {
  map: new MapView(live, { onSelect: openPort }),
  apps: new AppsView(live, { onOpen: (app) => openApp(app.key) }),
  conflicts: new ConflictsView(live, api, { onOpen: openApp, onPort: showPort }),
  use: new UseView(live, api, { onModel: showModel }),
  history: new HistoryView(live, api, { onOpen: openApp }),
};
let current;

setUpTheme(() => views.map.recolour());
addEventListener("hashchange", () => show(viewOfAddress(), { takesFocus: true }));
byId("allocate").addEventListener("click", allocate);
byId("space").addEventListener("change", (event) => {
  const address = new URL(location);
  address.searchParams.set("space", event.target.value);
  history.replaceState(null, "", address);
  enterSpace(event.target.value);
});
live.addEventListener("state", showStanding);
live.addEventListener("loaded", onLoaded);
live.addEventListener("changed", onChanged);
live.addEventListener("failed", ({ detail: error }) => {
  if (error.status) panel.showTrouble(error, () => live.load());
});
show(viewOfAddress());
enterSpace(new URLSearchParams(location.search).get("space") ?? undefined);

function viewOfAddress() {
  const name = location.hash.slice(1);
  return name in views ? name : "map";
}

function show(name, { takesFocus = false } = {}) {
  if (name === current) return;
  views[current]?.close?.();
  current = name;
  for (const view of Object.keys(views)) byId(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`title-${name}`);
  document.title = `${title.textContent} · portbook`;
  views[name].open?.();
  if (takesFocus) title.focus();
}

function go(name) {
  show(name);
  history.pushState(null, "", `#${name}`);
}

function select(app) {
  views.map.select(app);
  views.apps.select(app);
}

function openPort(port) {
  const holder = live.book.holderOf(port);
  if (holder) panel.showApp(holder.key);
  else panel.showPort(port);
}

function showPort(port) {
  go("map");
  // The map has no size until it is shown.
  requestAnimationFrame(() => views.map.goTo(port));
}

function showModel(model) {
  go("apps");
  views.apps.showModel(model);
  byId("title-apps").focus();
}

async function allocate() {
  const models = [...new Set([...live.book.apps.values()].map((app) => app.model))];
  const granted = await allocateDialog(api, models);
  if (!granted) return;
  const [{ model, app_num: number }] = granted;
  whenKnown(`${model}/app${number}`, (key) => panel.showApp(key));
}

/** An answer may be here before the event that tells of it. */
function whenKnown(key, then) {
  if (live.book.apps.has(key)) return then(key);
  const look = () => {
    if (!live.book.apps.has(key)) return;
    live.removeEventListener("changed", look);
    then(key);
  };
  live.addEventListener("changed", look);
}

async function release(app) {
  await releaseDialog(api, app);
}

function enterSpace(space) {
  api.space = space;
  live.load();
}

async function showSpaces() {
  const chosen = live.stats.space;
  const spaces = await api.get("spaces").catch(() => []);
  const all = [...new Set([...spaces, chosen])];
  byId("space-choice").hidden = all.length < 2;
  byId("space").replaceChildren(...all.map((space) => new Option(space, space, false, space === chosen)));
}

function showStanding({ detail: state }) {
  const texts = {
    loading: ["reading the book", ""],
    live: ["live", live.stats ? ` · revision ${count(live.revision)}` : ""],
    away: ["server away", " · trying again"],
    refused: ["not shown", ""],
  };
  const [word, more] = texts[state];
  const place = byId("standing");
  if (place.dataset.state !== state) {
    if (state === "away") announce("The server does not answer; the page tries again by itself");
    else if (state === "live" && place.dataset.state === "away") announce("The server is back");
  }
  place.dataset.state = state;
  const rest = document.createElement("span");
  rest.dataset.word = "more";
  rest.textContent = more;
  byId("standing-text").replaceChildren(word, rest);
}

function onLoaded() {
  showSpaces();
  showTally();
  announce(`${counted(live.book.apps.size, "app")} in the book`);
}

function onChanged({ detail: { records } }) {
  showTally();
  showStanding({ detail: live.state });
  const latest = records.at(-1);
  announce(
    records.length === 1 && latest.app_num !== undefined
      ? `${latest.model}/app${latest.app_num} ${latest.change}`
      : counted(records.length, "change"),
  );
}

function showTally() {
  document.querySelector("[data-tally=apps]").textContent = count(live.book.apps.size);
}
