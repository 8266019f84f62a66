// A file that holds answers: its tables, alive, at every token, layer and head that is in it.
import { bars, lines } from "./curves.js";
import { byId, h } from "./dom.js";
import { alongTokens, onCell, throughCells } from "./keyboard.js";
import { drawing, pointsOf } from "./mapped.js";
import { markChosen, markTokens } from "./marks.js";
import { plot } from "./plot.js";
import { dressed, laidOut } from "./sheets.js";
import { buttons, press } from "./tokens.js";

const held = JSON.parse(byId("held").textContent);
const state = { ...held.start };
const unpacked = new Map();

/** The answers at a token; they are unpacked when they are first asked for. */
function answers(token) {
  const bytes = () => new Blob([Uint8Array.from(atob(held.packed[token]), (one) => one.charCodeAt(0))]);
  if (!unpacked.has(token)) unpacked.set(token, new Response(bytes().stream().pipeThrough(new DecompressionStream("gzip"))).json());
  return unpacked.get(token);
}

/** What is drawn of an answer, where the file has what draws it. */
function plots(one) {
  if (one.kind === "map") return drawing(one, pointsOf(one, one.points), state.token);
  return (one.kind === "journey" ? lines(one, one.tokens[state.token]) : own() ? bars(one, own()) : []).map(plot);
}

/** The selected token, where the file has tokens. */
const own = () => held.tokens.find(({ position }) => position === state.token);

async function show() {
  const place = { ...state };
  const drawn = window.Plotly ? Object.entries(await answers("")).filter(([key]) => key.startsWith("plot.")) : [];
  const laid = await Promise.all(held.parts.map(async (follows, n) => {
    const there = await answers(follows.includes("token") ? place.token : "");
    return there[[n, ...follows.map((axis) => place[axis])].join(".")];
  }));
  if (Object.keys(place).some((axis) => place[axis] !== state[axis])) return; // another was chosen meanwhile
  const sheets = laid.flatMap((one) => laidOut(one)());
  const names = sheets.map(({ dataset }) => dataset.sheet);
  const focus = document.activeElement?.dataset?.choose;
  byId("parts").replaceChildren(
    h("div", { class: "notes" }, [...new Set(laid.flatMap(({ notes }) => notes))].map((note) => h("p", {}, note))),
    ...drawn.map(([, one]) => h("div", { class: one.kind === "map" ? "figure" : "plots" }, plots(one))),
    ...sheets.map((sheet, n) => h("div", { class: "figure", id: names.indexOf(names[n]) === n && names[n] }, dressed(sheet, state.head))),
  );
  if (byId("parts").dataset.shown) byId("title").textContent = byId("parts").querySelector("caption").textContent;
  byId("parts").dataset.shown = Object.values(place).join(".");
  moves();
  markChosen(byId("view"), state);
  if (focus) byId("parts").querySelector(`[data-choose="${focus}"]`)?.focus();
}

const choose = (choice) => show(Object.assign(state, choice));

/** What can be chosen: a row of numbers under a name. */
function row(name, values) {
  const one = (value) => h("label", {}, h("input", { type: "radio", name, value: String(value), checked: state[name] === value }), h("span", {}, value ?? "all"));
  return values.length > 1 && h("fieldset", { class: "line" }, h("legend", {}, name[0].toUpperCase() + name.slice(1)), h("div", { class: "segments" }, values.map(one)));
}

function moves() {
  for (const input of byId("moves").querySelectorAll("input")) input.checked = input.value === String(state[input.name]);
  if (held.tokens.length) press(tokens, own(), selected);
}

const tokens = h("div", { class: "tokens", id: "tokens", role: "group", "aria-label": "Tokens that are in this file" }, buttons(held.tokens));
const selected = h("output", { class: "says" });
const heads = held.heads ? [...(held.whole ? [null] : []), ...Array(held.heads).keys()] : [];
byId("moves").append(...[held.tokens.length > 0 && h("div", { class: "line" }, tokens, selected), row("layer", held.layers), row("head", heads)].filter(Boolean));
byId("moves").addEventListener("change", ({ target }) => choose({ [target.name]: target.value === "null" ? null : Number(target.value) }));
alongTokens(tokens, (token) => choose({ token }));
byId("view").addEventListener("click", ({ target }) => {
  const { choose: head } = target.closest("button")?.dataset ?? {};
  if (head) choose({ head: Number(head) === state.head && held.whole ? null : Number(head) });
});
onCell(byId("view"), ({ position, layer, head }) => {
  if (layer && (!held.layers.length || held.layers.includes(Number(layer)))) choose({ layer: Number(layer), head: Number(head) });
  else if (held.tokens.some((one) => one.position === Number(position ?? -1))) choose({ token: Number(position) });
});
throughCells(byId("view"));
markTokens(document.querySelector("main"), byId("readout"));
byId("plain").remove();
if (window.Plotly) byId("drawn").remove();
show();
