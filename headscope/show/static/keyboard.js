// Arrow keys: along the tokens, and from cell to cell of a table. One member of each can be reached with Tab.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Moves the focus, and what Tab reaches, from one to another. */
export function focus(from, to) {
  if (!to || from === to) return null;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
  return to;
}

/** A click chooses a token's button in `group`; arrows, Home and End move along them. `choose` is told the position. */
export function alongTokens(group, choose) {
  const chosen = (button) => button && choose(Number(button.dataset.position));
  group.addEventListener("click", ({ target }) => chosen(target.closest("button")));
  group.addEventListener("keydown", (event) => {
    const here = event.target.closest("button");
    const all = [...group.children];
    const step = STEPS[event.key];
    const ends = { Home: all[0], End: all.at(-1) };
    const next = step ? all[all.indexOf(here) + step[0] + step[1]] : ends[event.key];
    if (!here || !(step || next)) return;
    event.preventDefault();
    chosen(focus(here, next));
  });
}

/** What takes the focus of a cell: a button in it, else itself. */
const inside = (cell) => cell.querySelector("button") ?? cell;

/** A click on a cell, or Enter or Space on it, chooses it. */
export function onCell(place, choose) {
  const chosen = (event) => {
    const cell = event.target.closest("tbody td:is([data-id], [data-layer])");
    if (cell && event.target.closest("button") === null) choose(cell.dataset);
    return cell;
  };
  place.addEventListener("click", chosen);
  place.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && chosen(event) && event.preventDefault());
}

/** Arrows move from cell to cell of the tables in `place`. */
export function throughCells(place) {
  place.addEventListener("keydown", (event) => {
    const here = event.target.closest("tbody :is(td, th)");
    const step = STEPS[event.key];
    if (!here || !step) return;
    event.preventDefault();
    const row = here.parentElement.parentElement.rows[here.parentElement.sectionRowIndex + step[0]];
    const next = row?.cells[here.cellIndex + step[1]];
    if (next?.hidden) next.closest("table").turn(next);
    if (next?.matches("td, :has(button)")) focus(inside(here), inside(next));
  });
}
