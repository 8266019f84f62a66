// A table of the page's own.
import { h } from "./dom.js";

/** A table in a region that scrolls by itself; one of its cells, or the button in it, can be reached with Tab. */
export function scrolled(caption, { columns, top, rows, kind = null }) {
  const parts = [h("caption", {}, h("span", {}, caption)), h("thead", {}, top), h("tbody", {}, rows)];
  const table = h("table", { class: kind, "--columns": columns }, parts);
  (table.querySelector("tbody button") ?? table.querySelector("tbody td")).tabIndex = 0;
  return h("div", { class: "scroll", role: "region", "aria-label": `${caption}, scrollable`, tabindex: "0" }, table);
}
