// Dialogs: what they have in common.

import { element } from "../element.js";

let last = 0;

/**
 * Opens a modal dialog with a form and resolves with what `run` gave once it went well, or with
 * `undefined` when it was left. While it goes badly the dialog stays, and says why.
 *
 * `run` gets the form; `fields` are elements; the first of them, else the button that leaves, has the
 * focus.
 */
export function ask({ title, text, content, fields = [], action, isDangerous = false, isWide = false, run }) {
  return new Promise((resolve) => {
    const id = `dialog-${++last}`;
    let result;
    const trouble = element("div", { role: "alert" });
    const leave = element("button", { type: "button", class: "button" }, "Cancel");
    const go = element("button", { type: "submit", class: `button ${isDangerous ? "danger" : "primary"}` }, action);
    const form = element(
      "form",
      { novalidate: true },
      element("h2", { id }, title),
      text && element("p", { id: `${id}-text` }, text),
      content,
      fields.length > 0 && element("div", { class: "fields" }, fields),
      trouble,
      element("div", { class: "choices" }, leave, go),
    );
    const dialog = element(
      "dialog",
      { class: isWide && "wide", "aria-labelledby": id, "aria-describedby": text && `${id}-text` },
      form,
    );
    leave.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      trouble.replaceChildren();
      try {
        result = (await run(form)) ?? true;
        dialog.close();
      } catch (error) {
        trouble.replaceChildren(troubleOf(error));
        form.querySelector("[aria-invalid=true]")?.focus();
      } finally {
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("input, select") ?? leave).focus();
  });
}

/** A field of a dialog, with its name and what may be written there. */
export function field(name, label, { hint, ...attributes }) {
  const id = `field-${name}-${last + 1}`;
  return element(
    "label",
    { class: "field" },
    element("span", {}, label),
    element("input", { name, autocomplete: "off", spellcheck: "false", "aria-describedby": hint && id, ...attributes }),
    hint && element("small", { id }, hint),
  );
}

/** What went wrong, and what to do about it. */
export function troubleOf(error) {
  return element(
    "div",
    { class: "trouble" },
    element("p", {}, error.message),
    error.hint && element("p", {}, error.hint),
  );
}

/** Something in a form is not as it should be. */
export class BadField extends Error {
  constructor(input, message, hint) {
    super(message);
    this.hint = hint;
    input.setAttribute("aria-invalid", "true");
    input.addEventListener("input", () => input.removeAttribute("aria-invalid"), { once: true });
  }
}
