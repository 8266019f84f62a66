// Tables of many heads: as many side by side as fit with their words whole, the others on further pages.
import { h } from "./dom.js";

let looked = 0; // the first head of the page that was turned to last

/** Lays the heads of every table in `place` out on pages. */
export function paged(place) {
  for (const table of place.querySelectorAll("table.whole")) lay(table);
}

function lay(table) {
  const [corner, ...titles] = table.tHead.rows[0].cells;
  const cells = [...table.rows].flatMap((row) => ofHeads(row, titles[0].colSpan));
  for (const [cell] of cells) cell.hidden = false;
  table.classList.add("natural");
  const widths = titles.map((title) => title.getBoundingClientRect().width);
  const room = table.parentElement.clientWidth - corner.getBoundingClientRect().width;
  table.classList.remove("natural");
  const starts = [0];
  widths.reduce((used, width, head) => (used + width <= room || head === starts.at(-1) ? used + width : (starts.push(head), width)), 0);
  const turn = (head) => {
    const start = starts.findLast((one) => one <= head);
    const end = starts.find((one) => one > head) ?? titles.length;
    for (const [cell, at] of cells) cell.hidden = at < start || at >= end;
    for (const button of pages?.children ?? []) button.setAttribute("aria-pressed", String(Number(button.value) === start));
    const reached = table.querySelector("tbody td[tabindex='0']");
    if (!reached?.hidden) return;
    reached.tabIndex = -1;
    table.querySelector("tbody td:not([hidden])").tabIndex = 0;
  };
  const page = (start, n) => {
    const button = h("button", { type: "button", value: start }, span(start, (starts[n + 1] ?? titles.length) - 1));
    button.addEventListener("click", () => turn((looked = start)));
    return button;
  };
  table.parentElement.parentElement.querySelector(".pages")?.remove();
  const pages = starts.length > 1 ? h("div", { class: "pages", role: "group", "aria-label": "Heads" }, starts.map(page)) : null;
  if (pages) table.parentElement.before(pages);
  table.turn = (cell) => turn(cells.find(([one]) => one === cell)[1]);
  const chosen = titles.findIndex((title) => title.querySelector("[aria-pressed=true]"));
  turn(chosen < 0 ? Math.min(looked, titles.length - 1) : chosen);
}

const span = (from, to) => (from === to ? `head ${from}` : `heads ${from}–${to}`);

/** The cells of a row, each with the head that it is about; `wide`: columns of a head. */
function ofHeads(row, wide) {
  const second = row.parentElement.tagName === "THEAD" && row.rowIndex === 1 && !row.matches(".usually");
  let at = 0;
  return [...row.cells].slice(second ? 0 : 1).map((cell) => [cell, Math.floor(((at += cell.colSpan) - cell.colSpan) / wide)]);
}
