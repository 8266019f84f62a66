// Tables of many heads: as many side by side as fit with their words whole, the others on further pages.
import { h } from "./dom.js";

const NUMBER = 22; // pixels that style.css leaves for a number where nothing else is said
let looked = 0; // the first head of the page that was turned to last

/** Lays the heads of every table in `places` out on pages. All are looked at before one is changed: the browser lays out once. */
export function paged(places) {
  const tables = places.flatMap((place) => [...place.querySelectorAll("table.whole")]).map(lay);
  for (let part = 0; part < 3; part += 1) for (const table of tables) table.next();
}

function* lay(table) {
  const [, ...titles] = table.tHead.rows[0].cells;
  const cells = [...table.rows].flatMap((row) => ofHeads(row, titles[0].colSpan));
  for (const [cell] of cells) cell.hidden = false;
  const pages = h("div", { class: "pages", role: "group", "aria-label": "Heads" });
  table.parentElement.parentElement.querySelector(".pages")?.remove();
  table.parentElement.before(pages); // what is put before a table later has its every cell's style worked out again
  table.style.removeProperty("--num");
  table.classList.add("natural");
  yield;
  const number = Math.max(0, ...[...table.querySelectorAll("tbody .hs-num")].map((one) => one.offsetWidth));
  const [corner, ...widths] = [...table.tHead.rows[0].cells].map((title) => title.getBoundingClientRect().width);
  const [room, more] = [table.parentElement.clientWidth - corner, titles[0].colSpan * Math.max(0, number - NUMBER)];
  yield;
  if (more) table.style.setProperty("--num", `${number}px`);
  table.classList.remove("natural");
  const starts = [0];
  widths.map((width) => width + more).reduce((used, width, head) => (used + width <= room || head === starts.at(-1) ? used + width : (starts.push(head), width)), 0);
  const ends = [...starts.slice(1), titles.length];
  if (starts.length > 1) pages.append(...starts.map((start, n) => h("button", { type: "button", value: start }, start === ends[n] - 1 ? `head ${start}` : `heads ${start}–${ends[n] - 1}`)));
  pages.addEventListener("click", ({ target }) => target.value && turn((looked = Number(target.value))));
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
