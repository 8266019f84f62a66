// An answer as two tables: pure functions from data to elements.
import { h, label } from "./dom.js";
import { KINDS, kindSays } from "./kinds.js";
import { count, distance, legend, scale } from "./numbers.js";

/** The vocabulary tokens that each head's output is nearest to, `usual` under its name; the own token's rank last. */
export function neighborTable(answer, chosen, usual) {
  const own = answer.tokens[answer.selected];
  const bars = scale(answer.heads.flatMap((head) => head.neighbors.map((one) => one.distance)));
  const rows = answer.heads[0].neighbors.map((_, row) =>
    answer.heads.map((head) => {
      const one = head.neighbors[row];
      return cell(one, { id: one.id, bars, kind: one.kind, head: head.head, where: `rank ${count(one.rank)}, ${kindSays(one)}` });
    }),
  );
  const last = answer.heads.map((head) => ownCell(head, own));
  const title = "the own token’s rank, where it is not listed above";
  const foot = h("tr", {}, h("th", { scope: "row", title }, "own"), last);
  const top = [heading(answer, chosen), usual].filter(Boolean);
  return figure("Nearest vocabulary tokens", { columns: last.length, top, rows, bars, foot });
}

/** The other end of the order, the farthest first: what each head writes against, in the spaces that know it. */
export function suppressedTable(answer, chosen) {
  const bars = scale(answer.heads.flatMap((head) => head.suppressed.map((one) => one.distance)));
  const own = answer.tokens[answer.selected].id;
  const rows = answer.heads[0].suppressed.map((_, row) =>
    answer.heads.map((head) => {
      const one = head.suppressed[row];
      const kind = one.id === own ? "own" : null;
      return cell(one, { id: one.id, bars, kind, head: head.head, where: `number ${row + 1} from the far end` });
    }),
  );
  const columns = answer.heads.length;
  return figure("Suppressed: what the heads write against", { columns, top: heading(answer, chosen), rows, bars, foot: null });
}

/** Where the own token stands in a head's list: its rank, unless it is listed. */
export function ownCell(head, own) {
  if (head.neighbors.some((one) => one.id === own.id)) return h("td", { class: "above" }, "listed");
  const rank = head.own.rank ? `#${count(head.own.rank)}` : "no rank";
  const apart = h("span", { class: "num" }, distance(head.own.distance));
  return h("td", { class: "rank" }, rank, apart);
}

/** The positions of the text by the distance of their outputs; of a long text a button offers the rest. */
export function positionTable(answer, chosen) {
  const bars = scale(answer.heads.flatMap((head) => head.positions.map((one) => one.distance)));
  const rows = answer.heads[0].positions.map((_, row) =>
    answer.heads.map((head) => {
      const one = head.positions[row];
      const { id } = answer.tokens[one.position];
      const where = `place ${row + 1}, position ${one.position}`;
      const kind = one.position === answer.selected ? "own" : null;
      return cell(one, { id, bars, kind, head: head.head, where });
    }),
  );
  const more = `Show all ${count(answer.tokens.length)} positions`;
  const columns = answer.heads.length;
  const parts = figure("Nearest positions of the text", { columns, top: heading(answer, chosen), rows, bars, foot: null });
  return rows.length === answer.tokens.length ? parts : [...parts, h("button", { type: "button", class: "quiet" }, more)];
}

function heading(answer, chosen) {
  return h("tr", {}, h("td", {}), answer.heads.map(({ head }) => headHeading(head, chosen)));
}

/** The top of a head's column: a button that chooses the head, or lets it go. */
export function headHeading(head, chosen, wide = { scope: "col" }) {
  const pressed = { type: "button", class: "head", "data-choose": head, "aria-pressed": String(head === chosen) };
  return h("th", wide, h("button", pressed, h("span", {}, "head "), head));
}

/** A table in its own scrolling region, and what its bars mean. */
export function figure(caption, { columns, top, rows, bars, foot, kind = null }) {
  const body = rows.map((row, n) => h("tr", {}, h("th", { scope: "row" }, n + 1), row));
  return [scrolled(caption, { columns, top, rows: body, foot, kind }), h("p", { class: "legend" }, legend(bars))];
}

/** A table in a region that scrolls by itself; one of its cells, or the button in it, can be reached with Tab. */
export function scrolled(caption, { columns, top, rows, foot = null, kind = null }) {
  const parts = [h("caption", {}, h("span", {}, caption)), h("thead", {}, top), h("tbody", {}, rows), foot && h("tfoot", {}, foot)];
  const table = h("table", { class: kind, "--columns": columns }, parts);
  (table.querySelector("tbody button") ?? table.querySelector("tbody td")).tabIndex = 0;
  return h("div", { class: "scroll", role: "region", "aria-label": `${caption}, scrollable`, tabindex: "0" }, table);
}

/** One neighbour of a head; `shared`: the other side of a comparison lists it too. */
export function cell(one, { id, bars, kind, head, where, shared = false, measure = "distance" }) {
  const [from, to] = bars.bar(one.distance);
  return h(
    "td",
    {
      class: [kind, shared && "shared"].filter(Boolean).join(" ") || null,
      tabindex: "-1",
      "data-id": id,
      "data-position": one.position,
      "data-label": one.label,
      "data-head": head,
      "data-where": `head ${head}, ${where}, ${measure} ${one.distance?.toPrecision(5) ?? "not finite"}`,
      "--from": `${from}%`,
      "--to": `${to}%`,
    },
    one.position === undefined ? null : h("span", { class: "place" }, one.position),
    kind && KINDS[kind][0] ? h("span", { class: "sign", "aria-hidden": "true" }, KINDS[kind][0]) : null,
    label(one.label),
    kind && kind !== "elsewhere" ? h("span", { class: "hidden" }, ` (${one.kind ? kindSays(one) : "own token"})`) : null,
    shared ? h("span", { class: "hidden" }, " (on both sides)") : null,
    h("span", { class: "num" }, distance(one.distance)),
  );
}
