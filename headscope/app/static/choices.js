// What the server says can be chosen.

/** The references that the chosen space has. */
export const referencesOf = ({ space }, server) => server.choices.space.find(({ value }) => value === space)?.references ?? [];
