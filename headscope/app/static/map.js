// The map: one head's space in two dimensions, with the text's values and outputs in it.
import { floats } from "./api.js";
import { asking } from "./choices.js";
import { h } from "./dom.js";

/** What has no map: dot is no distance, and the other spaces hold no values. */
export const shut = { metric: ["dot"], space: ["key", "query", "fitted"] };
/** A new text is placed into the map that stands. */
export const places = true;

export function questions(state, server) {
  const { html, ...asked } = asking(["into", "layer", "space", "metric", "reference", "candidates", "method", "size", "seed", "perplexity"], state, server);
  return [["map", { ...asked, head: state.head ?? 0, at: state.map_at, k: state.map_k }]];
}

export function paint([answer], state) {
  const { layer, head, texts, key, space } = answer;
  const place = h("div", {});
  const drawn = ([xy, { drawing, pointsOf }]) => place.replaceChildren(...drawing(answer, pointsOf(answer, xy), state.token));
  const failed = (fault) => place.replaceChildren(h("p", { class: "banner" }, `The points could not be loaded (${fault.message}).`));
  Promise.all([floats(`map/${key}/points`), import("./mapped.js")]).then(drawn, failed);
  const again = h("button", { type: "button", class: "quiet", "data-go": '{"into":null}' }, "Make a map of the new text");
  const placed = state.into && h("p", { class: "says" }, `The map is of “${texts[0].text}”; the new text is placed into it. `, again);
  return {
    title: [`Layer ${layer}, head ${head}: a map of its ${space} space`],
    figures: { map: [placed, place, h("p", { class: "says" }, answer.facts.join(" "))].filter(Boolean) },
  };
}
