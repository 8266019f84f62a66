// Making elements. Everything that comes from the text or the vocabulary goes in as text, never as HTML.

/** An element with attributes (null and false: left out), custom properties (names with --) and children. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    // Through the object model: the page's policy allows no style attributes.
    if (key.startsWith("--")) element.style.setProperty(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that does `act`. */
export function button(says, act, attributes = {}) {
  const made = h("button", { type: "button", class: "quiet", ...attributes }, says);
  made.addEventListener("click", act);
  return made;
}

/** The elements of HTML that the server made, with everything of the text and the vocabulary escaped. */
export const parsed = (html) => [...new DOMParser().parseFromString(html, "text/html").body.children];

/** Makes `parts` the children of a place; who is there already, and in turn, is not moved: it would be laid out anew. */
export function fill(place, parts) {
  for (const old of [...place.childNodes]) if (!parts.includes(old)) old.remove();
  parts.forEach((part, n) => part === place.childNodes[n] || place.insertBefore(part, place.childNodes[n] ?? null));
}

export const byId = (id) => document.getElementById(id);

const SIGNS = /(^(?:##|␣+)|␣+$|⟨[^⟩]*⟩|[⏎␍⇥⍽])/u;

/** A token's label; what is a sign and no part of the text (␣, ##, ⟨F0⟩) is set apart. */
export function label(text) {
  return h("bdi", { class: "label" }, text.split(SIGNS).map((part, n) => (n % 2 ? h("span", { class: "sign" }, part) : part)));
}
