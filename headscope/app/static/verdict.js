// The verdict above the view of heads: what outputs say of the text's own tokens. The server makes its words and strips.
import { post, said, standing } from "./api.js";
import { asking, question } from "./choices.js";
import { byId, h, parsed } from "./dom.js";
import { released } from "./making.js";

const SOON = 50, LATER = 400; // milliseconds for which a view is looked at before its text is asked, and then other texts
let shown = null; // the question whose answer is there, or waited for

/** Shows the verdict on what the view of heads shows: on this text at once, and beside other texts once they are read; `usual` is what a survey says of the heads. */
export async function judge(state, server, usual) {
  const [{ view, head, classroom }, place, signal] = [state, byId("verdict"), standing()];
  const [, asked] = question({ ...state, compare: "none" }, server);
  const ask = asking(["token", "layer", "space", "reference", "metric", "position", "head"], state, server);
  const key = view === "heads" && asked.vector === "z" ? JSON.stringify([asked, head, server.survey.survey, classroom]) : null;
  if (!key) place.replaceChildren();
  else if (!place.firstChild) place.append(h("div", {}), h("div", { id: "test-it" }));
  if (server.survey.survey) byId("test-it")?.replaceChildren();
  if (key === shown || !(shown = key)) return;
  place.setAttribute("aria-busy", "true");
  try {
    for (const [wait, one] of [[SOON, ask], [LATER, { ...ask, others: true }]]) {
      await new Promise((later) => setTimeout(later, wait));
      const answer = await post("standing", one, signal);
      await released;
      signal.throwIfAborted();
      fill(place, answer, usual, head);
    }
  } catch (fault) {
    if (shown === key) shown = null;
    if (said(fault) && !signal.aborted && place.hasAttribute("aria-busy")) place.firstChild.replaceChildren();
  }
}

/** The server's words and strips, and what a survey says; what was open, and where the focus was, stays. */
function fill(place, { html }, usual, head) {
  const { activeElement: at } = document;
  const focus = place.firstChild.contains(at) && (at.dataset.choose ? `[data-choose="${at.dataset.choose}"]` : "summary");
  const open = place.querySelector("details")?.open;
  place.firstChild.replaceChildren(...parsed(html));
  const concluded = usual && (usual.says ?? (head === null ? usual : usual.heads[head]).concluded);
  const words = place.querySelector(".verdict-words");
  words.dataset.room += `\n${(words.querySelector(".surveyed").textContent = usual ? concluded : "One sentence, not tested yet.")}`;
  place.querySelector("details").open = open;
  if (focus) place.querySelector(focus).focus();
  place.removeAttribute("aria-busy");
}
