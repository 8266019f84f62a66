// What the server says can be chosen.

const choiceOf = ({ space }, server) => server.choices.space.find(({ value }) => value === space);

/** What can stand on the head's side in the chosen space. */
export const vectorsOf = (state, server) => choiceOf(state, server)?.vectors ?? [];

/** Whether the vocabulary's encodings in the chosen space depend on the position. */
export const moves = (state, server) => choiceOf(state, server)?.moves ?? false;

/** The references that the chosen space has. */
export const referencesOf = (state, server) => choiceOf(state, server)?.references ?? [];
