// Making elements. Text goes in as text, never as markup: names come from whoever allocates.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children. An attribute that begins with `on` is a listener; `true`
 * stands for an attribute without a value, `false`, `null` and `undefined` for none.
 */
export function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** As `element`, for drawings. */
export function drawing(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** One of the icons that the page defines. */
export function icon(name) {
  return drawing(
    "svg",
    { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" },
    drawing("use", { href: `#icon-${name}` }),
  );
}

/** The element of this id, which the page has. */
export function byId(id) {
  return document.getElementById(id);
}

function furnish(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}
