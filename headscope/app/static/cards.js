// One head in three cards, which the server makes; whether it matters, and what it writes beside what it attended to.
import { post, standing } from "./api.js";
import { read } from "./choices.js";
import { button, h, parsed } from "./dom.js";
import { laidOut } from "./sheets.js";
import * as written from "./written.js";

let unfolded = false; // whether the matrices are looked at
let lost = {}; // what was answered last about heads that are taken out

/** The first line of the view, and the cards of a head; where the reader chose none, of the one that the server did. */
export function cards({ portrait }, answer, state, server, tokens) {
  if (!portrait) return {};
  const head = state.head ?? portrait.shown;
  const three = parsed(portrait.cards[head]);
  matter(three[0].querySelector(".effect"), answer, head, state, server);
  const chosen = state.head === null ? [h("p", { class: "says" }, portrait.says_shown)] : [];
  return {
    leads: [h("p", {}, portrait.says)],
    cards: [...chosen, ...three, ...(answer.vector === "z" ? [fold({ ...state, head }, server, tokens)] : [])],
  };
}

/** What the output loses without the head: worked out at once where that is little, else when it is asked for. */
function matter(effect, answer, head, state, server) {
  const ask = { ...read(state), token: answer.selected, layer: answer.layer };
  const [key, runs] = [JSON.stringify(ask), answer.heads.length + 1];
  const work = async () => {
    effect.replaceChildren("Running the text without it …");
    const found = lost.key === key ? lost.found : await post("removed", ask, standing()).catch(({ message }) => ({ message }));
    if (found.says) lost = { key, found };
    effect.replaceChildren(found.says?.[head] ?? found.message);
  };
  if (lost.key === key) return work();
  const take = button("Take it out and see", work);
  effect.append(take, ` (${runs} runs of the text through the model)`);
  if (runs * answer.tokens.length <= server.removes) setTimeout(() => take.isConnected && work(), 700); // once nobody clicks
}

/** The matrices of the view Written, folded: they are asked for when they are looked at. */
function fold(state, server, tokens) {
  const body = h("div");
  const details = h("details", { class: "against", open: unfolded }, h("summary", {}, `Written against attended: does head ${state.head} write what it looks at?`), body);
  details.addEventListener("toggle", async () => {
    unfolded = details.open;
    if (!unfolded || body.firstChild) return;
    const [asked] = written.questions(state, server, tokens);
    body.replaceChildren(h("p", { class: "says" }, asked ? "Ranking the text’s tokens under every output …" : written.tooLong(server, tokens)));
    const answer = asked && (await post(...asked, standing()).catch(({ message }) => body.replaceChildren(message)));
    if (answer) body.replaceChildren(...written.pictures(laidOut(answer), tokens));
  });
  return details;
}
