// The figures above the map: how much there is, how much is left, what is wrong.

import { element, byId } from "../element.js";
import { STATES, stateOfRole } from "../states.js";
import { count, counted, share } from "../words.js";

/** Shows the figures of a space. */
export function showFigures({ stats, book }) {
  const wrong = book.conflicts.filter(isConflict).length;
  const warnings = book.conflicts.length - wrong;
  const list = byId("figures");
  list.replaceChildren(
    figure("Apps", count(stats.allocations), counted(stats.ports, "port")),
    figure("Room for", count(stats.free_slots), stats.free_slots === 1 ? "more app" : "more apps"),
    ...stats.ranges.map(range),
    figure("Promised", count(stats.promised), stats.promised === 1 ? "port" : "ports"),
    figure(
      "Conflicts",
      count(wrong),
      warnings ? `and ${counted(warnings, "warning")}` : "",
      wrong > 0 ? "alarming" : undefined,
    ),
  );
}

/** Whether it is more than a warning. */
export function isConflict(conflict) {
  return conflict.kind !== "ephemeral-range" && conflict.kind !== "orphan";
}

function range({ role, base, step, max, used, free }) {
  const all = used + free;
  const made = figure(`${title(role)} range`, share(used, all), `${count(free)} free`);
  made.title = `${role}: from ${base} to ${max}, every ${step === 1 ? "port" : `${step}th port`}`;
  made.lastElementChild.append(gauge(STATES[stateOfRole(role)].id, used, all));
  return made;
}

/** A bar of which a part is filled, in the colour of a state. */
export function gauge(state, used, all) {
  const part = element("i");
  part.style.flexBasis = `${all ? (100 * used) / all : 0}%`;
  part.style.setProperty("--swatch", `var(--state-${state})`);
  return element("span", { class: "bar-gauge", "aria-hidden": "true" }, part);
}

function figure(name, number, unit, mark) {
  return element(
    "div",
    { class: "figure" },
    element("dt", {}, name),
    element("dd", { class: mark }, number, " ", element("small", {}, unit)),
  );
}

function title(word) {
  return word[0].toUpperCase() + word.slice(1);
}
