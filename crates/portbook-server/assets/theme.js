// Dark, light, or as the system has it.

import { byId } from "./element.js";

const KEY = "portbook-theme";
const ORDER = ["auto", "light", "dark"];
const NAMES = { auto: "as the system has it", light: "light", dark: "dark" };

/** Puts the switch to work; `onChange` hears of every change of colours. */
export function setUpTheme(onChange) {
  const button = byId("theme");
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.dataset.theme = theme;
    button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
    button.title = `Colours: ${NAMES[theme]}`;
    onChange();
  };
  let theme = localStorage.getItem(KEY) ?? "auto";
  if (!ORDER.includes(theme)) theme = "auto";
  show(theme);
  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    localStorage.setItem(KEY, theme);
    show(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
