// Saying what happened: to those who listen, and to those who look.

import { element, byId } from "./element.js";

const SHOWN_FOR = 7000;

/** Read out by a screen reader, and not shown. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** Shown for a while, and read out. */
export function tell(text, { kind = "done" } = {}) {
  const message = element("p", { class: `message message-${kind}` }, text);
  byId("messages").append(message);
  setTimeout(() => message.remove(), SHOWN_FOR);
}
