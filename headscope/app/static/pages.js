// Tables of many heads: as many side by side as fit with their words whole, the others on further pages.
import { h } from "./dom.js";

let looked = 0; // the first head of the page that was turned to last

/** Lays the heads of every table in `place` out on pages. */
export const paged = (place) => place.querySelectorAll("table.whole").forEach(lay);

function lay(table) {
  const [corner, ...titles] = table.tHead.rows[0].cells;
  const cells = [...table.rows].flatMap((row) => ofHeads(row, titles[0].colSpan));
  for (const [cell] of cells) cell.hidden = false;
  table.style.setProperty("--num", `${Math.max(0, ...[...table.querySelectorAll("tbody .hs-num")].map((one) => one.offsetWidth))}px`);
  table.classList.add("natural");
  const widths = titles.map((title) => title.getBoundingClientRect().width);
  const room = table.parentElement.clientWidth - corner.getBoundingClientRect().width;
  table.classList.remove("natural");
  const starts = [0];
  widths.reduce((used, width, head) => (used + width <= room || head === starts.at(-1) ? used + width : (starts.push(head), width)), 0);
  const ends = [...starts.slice(1), titles.length];
  const pages = h("div", { class: "pages", role: "group", "aria-label": "Heads" }, starts.map((start, n) => h("button", { type: "button", value: start }, start === ends[n] - 1 ? `head ${start}` : `heads ${start}–${ends[n] - 1}`)));
  pages.addEventListener("click", ({ target }) => target.value && turn((looked = Number(target.value))));
  table.parentElement.parentElement.querySelector(".pages")?.remove();
  if (starts.length > 1) table.parentElement.before(pages);
  const turn = (head) => {
    const page = ends.findIndex((end) => head < end);
    for (const [cell, at] of cells) cell.hidden = at < starts[page] || at >= ends[page];
    [...pages.children].forEach((button, n) => button.setAttribute("aria-pressed", String(n === page)));
    for (const cell of table.querySelectorAll("tbody td[tabindex='0'][hidden]")) cell.tabIndex = -1;
    table.querySelector("tbody td:not([hidden])").tabIndex = 0;
  };
  table.turn = (cell) => turn(cells.find(([one]) => one === cell)[1]);
  const chosen = titles.findIndex((title) => title.querySelector("[aria-pressed=true]"));
  turn(chosen < 0 ? Math.min(looked, titles.length - 1) : chosen);
}

/** The cells of a row, each with the head that it is about, of `wide` columns. */
function ofHeads(row, wide) {
  const under = row.cells[0].closest("thead") && row.rowIndex === 1 && !row.matches(".usually");
  let at = 0;
  return [...row.cells].slice(under ? 0 : 1).map((cell) => [cell, Math.floor(((at += cell.colSpan) - cell.colSpan) / wide)]);
}
