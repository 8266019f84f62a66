// The tokens of the text as buttons.
import { h, label } from "./dom.js";

/** One button for each token, the selected one pressed. */
export function buttons(tokens, selected) {
  return tokens.map((token) =>
    h(
      "button",
      {
        type: "button",
        class: token.special ? "token special" : "token",
        "data-id": token.id,
        "data-position": token.position,
        "data-label": token.label,
        "aria-pressed": String(token.position === selected),
        tabindex: token.position === selected ? "0" : "-1",
        title: `position ${token.position}, id ${token.id}${token.special ? ", added by the tokenizer" : ""}`,
      },
      label(token.label),
      h("span", { class: "place" }, token.position),
    ),
  );
}

/** The selected token in words. */
export function selection(token) {
  return [h("strong", {}, label(token.label)), ` is selected: position ${token.position}, id ${token.id}.`];
}
