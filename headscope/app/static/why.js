// Why a token is near: its score in one head, split over the positions that the head mixed.

const SCORES = { cosine: "cosine, 1 − distance", dot: "dot product, −distance", euclidean: "dot product" };

/** How the state names a neighbour: its head and its id. */
export const whyOf = ({ head, id }) => `${head}.${id}`;

/** The question that asks why the chosen neighbour is near; null where none is chosen. */
export function whyAsk(asked, why) {
  if (!why) return null;
  const [head, id] = why.split(".").map(Number);
  return { ...asked, head, id };
}

/** What the table shows, in a sentence, and its formula. */
export const whySays = (answer) => [
  `The score (${SCORES[answer.metric]}) is a sum over the positions that the head mixed: what each value brings, times ` +
    "the attention it got. A share below 0 pulls away.",
  answer.metric === "cosine" ? "share_j = α_ij ⟨v_j, R_t⟩ / (|z| |R_t|)" : "share_j = α_ij ⟨v_j, R_t⟩",
];
