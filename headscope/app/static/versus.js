// Two answers as one table: every head twice, side by side.
import { sides } from "./compare.js";
import { h } from "./dom.js";
import { kindSays } from "./kinds.js";
import { count, scale } from "./numbers.js";
import { cell, figure, headHeading, ownCell } from "./tables.js";

/** The nearest vocabulary tokens of both sides of a comparison, and for each head what they share. */
export function versusTable(comparison, chosen, usual) {
  const { one, other } = comparison;
  const names = sides(comparison);
  const own = one.tokens[one.selected];
  const pairs = one.heads.map((head, n) => [head, other.heads[n]]);
  const bars = scale(pairs.flat().flatMap((head) => head.neighbors.map((near) => near.distance)));
  const listed = pairs.map((pair) => pair.map((head) => new Set(head.neighbors.map((near) => near.id))));
  const rows = one.heads[0].neighbors.map((_, row) =>
    pairs.flatMap((pair, n) =>
      pair.map((head, side) => {
        const near = head.neighbors[row];
        const where = `${names[side]}, rank ${count(near.rank)}, ${kindSays(near)}`;
        const shared = listed[n][1 - side].has(near.id);
        return cell(near, { id: near.id, bars, kind: near.kind, head: head.head, where, shared });
      }),
    ),
  );
  const wide = { scope: "colgroup", colspan: 2 };
  const top = [
    h("tr", {}, h("td", { rowspan: 2 }), pairs.map(([{ head }]) => headHeading(head, chosen, wide))),
    h("tr", {}, pairs.flatMap(() => names.map((name) => h("th", { scope: "col" }, name)))),
    ...(usual ? [usual] : []),
  ];
  const ranks = pairs.flat().map((head) => ownCell(head, own));
  const shared = comparison.heads.map((head) => h("td", { colspan: 2 }, change(head, rows.length)));
  const foot = [
    h("tr", {}, rowHead("own", "the own token’s rank, where it is not listed above"), ranks),
    h("tr", {}, rowHead("both", "what both sides list, and how far the own token moved"), shared),
  ];
  return figure("Nearest vocabulary tokens", { columns: 2 * pairs.length, top, rows, bars, foot, kind: "versus" });
}

const rowHead = (name, title) => h("th", { scope: "row", title }, name);

/** How much both sides of a head share, and how far its own token moved from the one to the other. */
function change(head, k) {
  const ranked = head.own_rank && head.other_own_rank;
  const places = count(Math.abs(head.moved));
  const moved = head.moved ? `own ${places} ${head.moved > 0 ? "farther" : "nearer"}` : "own stays";
  return `${count(Math.round(head.overlap * k))} of ${count(k)} · ${ranked ? moved : "own has no rank"}`;
}
