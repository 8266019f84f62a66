// What the server says can be chosen.

/** What is read, as the API names it: a text, perhaps with a second one, the messages of a chat, or token ids; and the mask. */
export function read({ text, chat, system, pair, special, ids, mask }) {
  if (ids) return { ids: ids.split(",").map(Number), mask };
  if (chat) return { messages: [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: text }], mask };
  return { text, ...(pair ? { pair } : {}), ...(special ? {} : { special }), mask };
}

const choiceOf = ({ space }, server) => server.choices.space.find(({ value }) => value === space);

/** What can stand on the head's side in the chosen space. */
export const vectorsOf = (state, server) => choiceOf(state, server)?.vectors ?? [];

/** Whether the vocabulary's encodings in the chosen space depend on the position. */
export const moves = (state, server) => choiceOf(state, server)?.moves ?? false;

/** The references that the chosen space has. */
export const referencesOf = (state, server) => choiceOf(state, server)?.references ?? [];
