// One head in three cards: what it resembles, where it looked, whether it matters; under them, what it writes where.
import { post, standing } from "./api.js";
import { read } from "./choices.js";
import { h } from "./dom.js";
import { laidOut } from "./sheets.js";
import * as written from "./written.js";

let unfolded = false; // whether the matrices are looked at
let lost = {}; // what was answered last about heads that are taken out

/** The first line of the view, and the cards of a head, which the server chose where the reader did not. */
export function cards(sheets, answer, shown, state, server, tokens) {
  const [[resembles], [looked]] = [sheets("resembles"), sheets("looked")];
  if (!resembles) return { leads: [], cards: [] };
  const head = state.head ?? shown;
  const words = column(resembles, head).map((cell) => item(cell));
  const few = `${words.length || "None"} of its ${answer.heads[head].neighbors.length} nearest tokens ${words.length === 1 ? "is a whole word" : "are whole words"}.`;
  const rest = looked.querySelector("tfoot")?.rows[0].cells[head + 1].dataset.says;
  const three = [
    card(`What head ${head} resembles`, h("ul", { class: "words" }, words), words.length < 5 && says(few)),
    card("Where it looked", h("ul", { class: "looked" }, column(looked, head).map((cell) => item(cell, { "--share": `${100 * cell.dataset.value}%` }))), rest && says(rest)),
    card("Does it matter?", matter(answer, head, state, server)),
  ];
  return {
    leads: [h("p", {}, resembles.querySelector(".hs-lead").textContent)],
    cards: [
      state.head === null && says(resembles.querySelector(".hs-legend").textContent),
      h("div", { class: "cards" }, three),
      answer.vector === "z" && fold({ ...state, head }, server, tokens),
    ].filter(Boolean),
  };
}

const says = (sentence) => h("p", { class: "says" }, sentence);
const card = (title, ...body) => h("section", {}, h("h3", {}, title), body.filter(Boolean));
const column = (sheet, head) => [...sheet.querySelector("tbody").rows].map((row) => row.cells[head + 1]).filter((cell) => cell.dataset.id);

/** A cell of a table as an item of a list, with a bar behind its number; without one, its words alone. */
function item(cell, bar) {
  if (!bar) cell.querySelector(".hs-num").remove();
  const one = h("li", { class: cell.className, title: cell.title, ...bar }, [...cell.childNodes]);
  Object.assign(one.dataset, { ...cell.dataset });
  return one;
}

/** What the output loses without the head: worked out at once where that is little, else when it is asked for. */
function matter(answer, head, state, server) {
  const ask = { ...read(state), token: answer.selected, layer: answer.layer, html: true };
  const key = JSON.stringify(ask);
  const effect = h("p", { class: "effect" });
  const tell = () => effect.replaceChildren(laidOut(lost.found)("removed")[0].querySelector("tbody").rows[head].cells[1].textContent);
  if (lost.key === key) {
    tell();
    return effect;
  }
  const work = async () => {
    const signal = standing();
    effect.replaceChildren("Running the text without it …");
    try {
      lost = { found: await post("removed", ask, signal), key };
      tell();
    } catch (fault) {
      if (!signal.aborted) effect.replaceChildren(fault.message);
    }
  };
  const runs = answer.heads.length + 1;
  const button = h("button", { type: "button", class: "quiet" }, "Take it out and see");
  button.addEventListener("click", work);
  effect.append(button, ` (${runs} runs of the text through the model)`);
  if (runs * answer.tokens.length <= server.removes) setTimeout(() => button.isConnected && work(), 700); // once nobody clicks
  return effect;
}

/** The matrices of the view Written, folded: they are asked for when they are looked at. */
function fold(state, server, tokens) {
  const body = h("div");
  const summary = h("summary", {}, `Written against attended: does head ${state.head} write what it looks at?`);
  const details = h("details", { class: "against", open: unfolded }, summary, body);
  details.addEventListener("toggle", async () => {
    unfolded = details.open;
    if (!details.open || body.firstChild) return;
    const [asked] = written.questions(state, server, tokens);
    const signal = standing();
    body.replaceChildren(says(asked ? "Ranking the text’s tokens under every output …" : written.tooLong(server, tokens)));
    const answer = asked && (await post(...asked, signal).catch((fault) => { if (!signal.aborted) body.replaceChildren(fault.message); }));
    if (answer) body.replaceChildren(...written.pictures(laidOut(answer), answer, tokens));
  });
  return details;
}
