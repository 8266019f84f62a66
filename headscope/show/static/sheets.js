// Answers as the server lays them out, made live: what a cell is about, the keyboard's way through them, bars, heads.
import { h, parsed } from "./dom.js";
import { distance, scale, short } from "./numbers.js";

/** The tables of an answer by their names, or all; every word of the text and the vocabulary was escaped by the server. */
export function laidOut({ html }) {
  const all = parsed(html).filter((one) => one.matches(".hs-sheet"));
  return (name) => all.filter((one) => name === undefined || one.dataset.sheet === name).map(live);
}

/** A table whose cells know what they are about; one of them can be reached with Tab. */
function live(sheet) {
  for (const note of sheet.querySelectorAll(".hs-note")) note.remove(); // the page says them above its tables
  sheet.querySelector(".hs-scroll").classList.add("scroll");
  const table = sheet.querySelector("table");
  const [first, second] = table.tHead.rows;
  const titles = second ? [...second.cells] : [...first.cells].slice(1);
  const over = (n) => (second ? [first.cells[1 + Math.floor(n / first.cells[1].colSpan)]] : []);
  const columns = titles.map((title, n) => stands([...over(n), title], ({ textContent }) => textContent));
  const stub = first.cells[0].textContent;
  for (const { cells: [title, ...cells] } of table.tBodies[0].rows) {
    const row = stands([title], () => stub && `${stub} ${words(title)}`);
    cells.forEach((cell, n) => about(cell, columns[n], row));
  }
  table.style.setProperty("--columns", titles.length);
  table.querySelector("tbody td").tabIndex = 0;
  return sheet;
}

/** What titles stand for: what they are about, and their words. */
const stands = (titles, named) => ({ data: Object.assign({}, ...titles.map(({ dataset }) => dataset)), names: titles.map(named) });

/** A cell is about what it says itself, and what its row and its columns are about. */
function about(cell, column, row) {
  const own = { ...cell.dataset }; // read once, and only what is new is written: there are hundreds of cells
  for (const [name, given] of Object.entries({ ...column?.data, ...row.data })) own[name] ??= cell.dataset[name] = given;
  const { layer, head, says, measure, value } = own;
  const names = layer ? [`L${layer}H${head}`] : [...(column?.names ?? []), ...row.names];
  const over = column?.data.measure === measure && !("head" in column.data || "id" in column.data) ? column.names.at(-1) : measure; // in a reader's words
  const none = measure && value === undefined && (cell.matches(".hs-number") || cell.querySelector(".hs-num")) && `${over}: no number`;
  const told = value === undefined ? none : measure && `${over} ${Number(value).toPrecision(5)}`;
  if (told) cell.title = told; // in full, where the cell is brief
  cell.dataset.where = [...names, says, told].filter(Boolean).join(", ");
  cell.tabIndex = -1;
}

const words = (title) => [".hs-before", ".hs-label"].map((part) => title.querySelector(part)?.textContent).filter(Boolean).join(" ");

/** Puts the columns of sheets of the same rows beside those of the first, in the place of others before; gives their cells. Rows that are `far` have them a frame later. */
export function beside(first, sheets, far) {
  const [table, ...others] = [first, ...sheets].map((sheet) => sheet.querySelector("table"));
  const rows = (first.rows ??= [...table.rows]); // as they came, however they are sorted
  const cells = new Map(rows.map((row, n) => [row, others.flatMap((other) => [...other.rows[n].cells].slice(1))]));
  const late = rows.filter((row) => row.added?.length === cells.get(row).length && far(row)); // where none comes or goes
  const put = (row) => { row.added?.forEach((one) => one.remove()); row.append(...(row.added = cells.get(row))); };
  for (const one of first.added ?? []) one.remove();
  for (const row of rows) if (!late.includes(row)) put(row);
  table.ariaBusy = late.length > 0;
  const rest = (first.rest = () => { late.splice(0).forEach(put); table.ariaBusy = false; });
  requestAnimationFrame(() => setTimeout(() => first.rest === rest && rest()));
  const words = others.map(({ caption }) => new Text(` · ${caption.textContent}`));
  const keys = sheets.flatMap((sheet) => [...sheet.querySelectorAll(".hs-key, .hs-legend")]);
  table.caption.firstChild.append(...words);
  first.append(...keys);
  first.added = [...words, ...keys];
  table.style.setProperty("--columns", rows[0].cells.length - 1);
  first.querySelector(".hs-scroll").setAttribute("aria-label", `${table.caption.textContent}, scrollable`);
  return [...cells.values()].flat();
}

// How the page shows a table of that name; others are plain.
const LOOKS = {
  neighbors: "whole", suppressed: "whole", positions: "whole", comparison: "versus whole", "hub-aware": "versus hubs whole", why: "sources",
  attention: "heat", pattern: "heat pattern", written: "heat pattern", attended: "heat pattern", within: "within", journey: "stages", mixing_at: "stages", glance: "glance",
};

/** A table as the page shows it: its head that is chosen pressed, its numbers as bars or grounds. */
export function dressed(sheet, head = null) {
  const name = sheet.dataset.sheet;
  const look = LOOKS[name] ?? "";
  looks(choosable(sheet, head), look);
  for (const lead of sheet.querySelectorAll(".hs-lead")) lead.className = "says";
  for (const title of look.includes("pattern") ? sheet.querySelectorAll("thead th:not(:first-child)") : []) title.replaceChildren(h("div", { class: "tilted" }, [...title.childNodes])); // on their sides: there are many
  if (look.includes("heat")) return name === "written" ? grounded(sheet, 0.5, " (by chance)") : grounded(sheet);
  return ["within", "stages"].includes(look) || !sheet.querySelector("tbody [data-value]") ? sheet : barred(sheet);
}

/** Gives a table the look of a kind, and its numbers a short form for where there is hardly room. */
export function looks(sheet, kind) {
  for (const cell of sheet.querySelectorAll("td.hs-number[data-value]")) cell.dataset.short = short(Number(cell.dataset.value));
  sheet.querySelector("table").className = kind;
  return sheet;
}

/** Turns the titles that stand for heads into buttons that choose them, or let them go. */
function choosable(sheet, chosen) {
  for (const title of sheet.querySelectorAll("thead th[data-head]")) {
    const head = Number(title.dataset.head);
    title.replaceChildren(...[...title.querySelectorAll(".hs-before")].flatMap((one) => [one, " "]), h("button", { type: "button", class: "head", "data-choose": head, "aria-pressed": String(head === chosen) }, h("span", {}, "head "), head));
  }
  return sheet;
}

/** Bars behind the numbers of cells, on one scale for each thing that is measured; and what they show, in words. */
export function bars(some) {
  const cells = [...some].filter((cell) => cell.matches("tbody td[data-value]"));
  return [...new Set(cells.map((cell) => cell.dataset.measure))].map((measure, n) => {
    const measured = cells.filter((cell) => cell.dataset.measure === measure);
    const { bar, says } = scale(measured.map((cell) => Number(cell.dataset.value)), measure);
    for (const cell of measured) bar(Number(cell.dataset.value)).forEach((edge, n) => cell.style.setProperty(["--from", "--to"][n], `${edge}%`));
    const title = measured[0].closest("table").tHead.querySelector(`[data-measure="${measure}"]:not([data-head], [data-id])`);
    return `${n ? " " : ""}Bars: ${title ? says.replace(measure, title.textContent) : says}`;
  });
}

/** A table with bars, and below it what they show. */
function barred(sheet) {
  sheet.querySelector(".hs-scroll").after(h("p", { class: "legend" }, bars(sheet.querySelectorAll("td"))));
  return sheet;
}

/** Grounds as strong as the numbers of a table, and what they show; up to `least` they are clear. */
function grounded(sheet, least = 0, says = "") {
  const cells = [...sheet.querySelectorAll("tbody td[data-value]")];
  const most = Math.max(least, ...cells.map((cell) => Number(cell.dataset.value)));
  for (const cell of cells) cell.style.setProperty("--heat", `${most > least ? Math.round(Math.max(0, 100 * (Number(cell.dataset.value) - least)) / (most - least)) : 0}%`);
  sheet.querySelector(".hs-scroll").after(h("p", { class: "legend" }, `Ground: clear ${least ? "up to" : "at"} ${distance(least)}${says}, full at ${distance(most)} (the largest here).`));
  return sheet;
}
