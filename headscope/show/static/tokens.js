// The tokens of the text as buttons.
import { h, label } from "./dom.js";

/** One button for each token; `press` tells which is selected. */
export function buttons(tokens) {
  return tokens.map(({ id, position, label: word, special }) => {
    const about = { "data-id": id, "data-position": position, "data-label": word, title: `position ${position}, id ${id}${special ? ", added by the tokenizer" : ""}` };
    return h("button", { type: "button", class: special ? "token special" : "token", ...about }, label(word), h("span", { class: "place" }, position));
  });
}

/** Presses the button of `token` in `group`, and says in `place` that it is selected. */
export function press(group, token, place) {
  for (const button of group.children) {
    const pressed = Number(button.dataset.position) === token.position;
    button.setAttribute("aria-pressed", String(pressed));
    button.tabIndex = pressed ? 0 : -1;
    if (!pressed) continue;
    group.scrollTop = button.offsetTop - (group.clientHeight - button.offsetHeight) / 2;
    group.scrollLeft = button.offsetLeft - (group.clientWidth - button.offsetWidth) / 2;
  }
  place.replaceChildren(h("strong", {}, label(token.label)), ` is selected: position ${token.position}, id ${token.id}.`);
}
