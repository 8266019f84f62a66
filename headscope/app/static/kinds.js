// The kinds of a token as the text sees it: its sign, so that colour is never alone, and in words.
import { h } from "./dom.js";

export const KINDS = {
  own: ["▸", "own token"],
  text: ["•", "another token of the text"],
  variant: ["≈", "another form of one"],
  special: ["◦", "special, no word"],
  elsewhere: ["", "not in the text"],
};

const listed = (positions) => `position${positions.length > 1 ? "s" : ""} ${positions.join(", ")}`;

/** What a neighbour is to the text, in words. */
export function kindSays({ kind, positions }) {
  if (!positions.length) return KINDS[kind][1];
  return { text: `in the text at ${listed(positions)}`, variant: `another form of ${listed(positions)}` }[kind] ?? KINDS[kind][1];
}

/** What the signs mean. */
export function key() {
  const marks = Object.entries(KINDS).filter(([, [sign]]) => sign);
  return h(
    "ul",
    { class: "key", "aria-label": "Marks" },
    marks.map(([kind, [sign, says]]) => h("li", { class: kind }, h("span", { class: "sign" }, sign), ` ${says}`)),
  );
}
