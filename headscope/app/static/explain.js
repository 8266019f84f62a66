// What each control and table means: one plain sentence, its formula, and the method told with the reader's own example.
import { moves, referencesOf, vectorsOf } from "./choices.js";
import { compareSays } from "./compare.js";
import { h, label } from "./dom.js";
import { hubsSays } from "./hubs.js";
import { count, distance, tiny } from "./numbers.js";

const METRICS = {
  cosine: [
    "Compares directions only: 0 is the same direction, 1 a right angle, 2 the opposite.",
    "1 − z·R / (|z| |R|)",
  ],
  euclidean: ["Compares places: how far apart the two vectors lie.", "|z − R|"],
  dot: [
    "Compares direction and length at once; its sign is turned, so that nearer is smaller here too.",
    "−z·R",
  ],
};

// Their sentences come from the server.
const REFERENCES = {
  input: "R_t = LN_0(E_t + P_i) W_V^0 + b_V^0",
  layer: "R_t = LN_ℓ(E_t + P_i) W_V^ℓ + b_V^ℓ",
  isolated: "R_t = v_t in layer ℓ, of a text whose only token is t",
};

const SPACES = {
  value: ["Value", "What the head writes, z, against what it would write if it attended to one vocabulary token alone.", "z_i = Σ_j α_ij v_j"],
  output: ["Output", "Both sides as the output matrix passes them on: no choice of basis enters.", "W_O (z − μ), W_O (R_t − μ)"],
  key: ["Key", "What the head writes, against the keys of the vocabulary: a basis of their own.", "R_t = LN(E_t + P_i) W_K + b_K"],
  query: ["Query", "What the head writes, against the queries of the vocabulary: a basis of their own.", "R_t = LN(E_t + P_i) W_Q + b_Q"],
  embedding: ["Embedding", "What the head adds to the residual stream, against the tokens’ embeddings.", "z W_O against E_t"],
  unembedding: ["Unembedding", "What the head adds to the logits: the tokens that it promotes.", "(g ⊙ W_U[t]) · C z W_O / s_i"],
};

const VECTORS = {
  z: ["What the head writes at the selected token, before the heads are concatenated.", "z_i = Σ_j α_ij v_j"],
  q: ["The query at the selected token: against keys, under Dot, it lists what the head looks for.", "q_i · k_t"],
  k: ["The key at the selected token: against queries, under Dot, it lists what would look for it.", "k_i · q_t"],
  v: ["The value at the selected token: what the head would write if it attended to this position alone.", "v_i"],
};

const WEIGHS = {
  weights: ["How much of each source’s value the head takes.", "α_ij"],
  norms: ["How long what it takes from a source is in the residual stream: a large weight on a short vector counts little.", "‖α_ij v_j W_O‖"],
};

const VIEWS = {
  heads: ["One layer: for every head, the vocabulary tokens and the positions of the text that its output is nearest to.", "z_i of every head h of layer ℓ"],
  atlas: ["Every layer and head at once: the one token that each output is nearest to, under both references.", "argmin_t distance(z_i, R_t), for every ℓ and h"],
  attention: ["One layer: which positions every head looks at from the selected token, and one head’s whole pattern.", "α_ij = softmax_j(q_i · k_j)"],
};

/** What a choice of a control is called. */
export const NAMES = {
  space: Object.fromEntries(Object.entries(SPACES).map(([value, [name]]) => [value, name])),
  reference: { input: "Input layer", layer: "This layer", isolated: "Isolated" },
  vector: { z: "Output z", q: "Query q", k: "Key k", v: "Value v" },
  metric: { cosine: "Cosine", euclidean: "Euclidean", dot: "Dot" },
  candidates: { all: "All", words: "Words" },
  mask: { model: "Model’s own", full: "Full", causal: "Causal" },
  weigh: { weights: "Weights", norms: "Weights × norms" },
};

const NO_REFERENCE = ["This space has no reference: the vocabulary is compared as the model embeds or unembeds it.", "–"];
const untold = (value) => [`${value}.`, "–"];

/** What a space is, and which are closed for this model. */
function spaceSays({ space }, server) {
  const [, says, terms] = SPACES[space] ?? [null, ...untold(space)];
  const shut = server.choices.space.filter(({ closed }) => closed);
  const why = shut.map(({ value, closed }) => ` “${NAMES.space[value] ?? value}” is closed: ${closed.split(" Open:")[0]}`).join("");
  return [says + why, terms];
}

const CANDIDATES = {
  all: ["Every token of the vocabulary may be a neighbour.", "t ∈ {0 … V−1}"],
  words: ["Special, unused and byte tokens are left out; ranks count only the others.", "t ∈ words"],
};

const MASKS = {
  full: ["Every token sees all others, whatever the model was trained with.", "α_ij ≥ 0 for all j"],
  causal: [
    "Every token sees itself and those before it, whatever the model was trained with.",
    "α_ij = 0 for j > i",
  ],
};

const POSITIONS = {
  none: [
    "Off: this model adds no position embedding to its input, so there is none to add to the vocabulary.",
    "P_i = 0",
  ],
  isolated: ["Off: every vocabulary token that was read alone stands at its own place in a text of its own.", "P_t"],
  on: ["Each vocabulary token is encoded as if it stood where the selected token stands.", "E_t + P_i"],
  off: ["Each vocabulary token is encoded without any position.", "E_t"],
};

const LAYER = [
  "Layer 0 reads the tokens themselves; every later layer reads what the one before it made of them.",
  "z_i = Σ_j α_ij v_j, with v_j = LN_ℓ(x_j) W_V^ℓ + b_V^ℓ",
];

const OWN_MASK = {
  full: ["The model’s own: every token sees all others.", MASKS.full[1]],
  causal: ["The model’s own: every token sees itself and those before it.", MASKS.causal[1]],
};

function positionNow(state, server) {
  if (state.reference === "isolated") return "isolated";
  if (!moves(state, server)) return "none";
  return state.position ? "on" : "off";
}

/** Whether the position switch has a meaning. */
export const positionsOpen = (state, server) => ["on", "off"].includes(positionNow(state, server));

/** For each control, its sentence and its formula, as it stands. */
export function sentences(state, server) {
  return {
    view: VIEWS[state.view],
    layer: LAYER,
    space: spaceSays(state, server),
    vector: VECTORS[vectorsOf(state, server).includes(state.vector) ? state.vector : "z"],
    weigh: WEIGHS[state.weigh],
    metric: METRICS[state.metric] ?? untold(state.metric),
    reference: referencesOf(state, server).length ? [server.references[state.reference], REFERENCES[state.reference]] : NO_REFERENCE,
    position: POSITIONS[positionNow(state, server)],
    candidates: CANDIDATES[state.candidates],
    mask: state.mask === "model" ? OWN_MASK[server.causal ? "causal" : "full"] : MASKS[state.mask],
    hubs: [hubsSays(state, server), "score = (s(z_i, R_t) − μ_t) / σ_t"],
    compare: [compareSays(state, server), "overlap = |A ∩ B| / k, moved = rank_B − rank_A"],
  };
}

/** What stands under each table: a sentence, and what the distances are between. */
export const TABLES = {
  neighbors: [
    "For each head, the vocabulary tokens whose encoding its output is nearest to, nearest first. Where the " +
      "selected token itself (▸) is not listed, the last row gives its rank among all candidates.",
    "distance(z_i, R_t), over tokens t of the vocabulary",
  ],
  versus: [
    "For each head, the tokens nearest to its output on both sides of the comparison, the chosen view on the left. " +
      "A token that both sides list is underlined. The last row counts these, and says by how many places the " +
      "selected token (▸) is farther or nearer on the right.",
    "A, B: the k tokens t of least distance(z_i, R_t) on the left and on the right; overlap = |A ∩ B| / k",
  ],
  positions: [
    "For each head, all positions of the text by how near its output there is to its output at the selected " +
      "token, which is marked ▸ and at distance 0 from itself in cosine and Euclidean.",
    "distance(z_i, z_j), over positions j of the text",
  ],
};

/** What stands under the grids of the atlas, the sources and the pattern. */
export const ATLAS = [
  "Each cell is the token nearest to one head’s output, and a button that leads to that layer and head. Beside a layer: how " +
    "many of its heads are nearest to the own token or another of the text. Where the two grids differ, it is the basis.",
  "argmin_t distance(z_i, R_t); rate = heads nearest to own or text / heads",
];
export const WEIGH = {
  weights: ["For each head, the attention weights of the selected token as the query: a column sums to 1 (attention sinks excepted).", "α_ij, over sources j"],
  norms: ["For each head, how long the part of its output is that comes from each source, in the residual stream.", "‖α_ij v_j W_O‖, over sources j"],
};
export const PATTERN = ["Each row is a query, each column a source; the selected token’s row is what the table above shows for this head.", "rows i, columns j"];

/** A sentence, and its formula folded away. */
export function meaning([sentence, terms]) {
  const folded = h("details", {}, h("summary", {}, "Formula"), h("p", { class: "formula" }, formula(terms)));
  return [h("p", { class: "says" }, sentence), folded];
}

/** A formula in which _x and ^x are set low and high. */
export function formula(text) {
  const tags = { _: "sub", "^": "sup" };
  const parts = text.split(/([_^][\p{L}\p{N}]+)/u);
  return h("span", { class: "math" }, parts.map((part) => (tags[part[0]] ? h(tags[part[0]], {}, part.slice(1)) : part)));
}

const step = (title, ...body) => h("li", {}, h("h3", {}, title), h("p", {}, ...body.filter(Boolean)));

/** How to read the atlas. */
export const atlasSteps = () =>
  h(
    "ol",
    {},
    step("One cell, one head", "Every head of every layer writes a vector at the selected token. A cell names the vocabulary token whose encoding is nearest to it."),
    step(
      "Two references",
      "“Input layer” encodes the vocabulary by layer 0’s projection, “each layer’s own” by the projection of the layer that is read. ",
      "Above layer 0 the first compares two unrelated bases: what looks like noise there can be plain in the second.",
    ),
    step("Five kinds", "The own token; another token of the text; another form of one (case, leading space, ## piece); a special token; anything else of the vocabulary."),
    step("What a rate cannot say", "Some tokens are near to everything, and short texts hold common words: a rate means something only against what the outputs of other texts would give."),
  );

/** How to read the attention view. */
export const attentionSteps = () =>
  h(
    "ol",
    {},
    step("Weights", "The selected token is the query. Each head gives every position of the text a weight, and mixes their values by it: ", formula("z_i = Σ_j α_ij v_j"), "."),
    step(
      "Weights × norms",
      "A weight says nothing of what it lets through: heads often rest on a token whose value is nearly zero. The length of ",
      formula("α_ij v_j W_O"), " is what really reaches the residual stream (Kobayashi et al. 2020).",
    ),
    step("One head’s pattern", "Choose a head at the top of its column: the second table has a row for every query and a column for every source."),
    step("What weights cannot say", "Once a text is longer than a head is wide, other weights would give the same output: they are not the only account of what the head did."),
  );

/** Where the own token stands in the head that ranks it best. */
function standing(token, own) {
  if (!own.rank) return ["The encoding of ", token, " itself is not finite, so it has no rank."];
  const nearer = own.rank === 2 ? "1 candidate is" : `${own.rank === 1 ? "no" : count(own.rank - 1)} candidates are`;
  return [
    "For ", token, ` itself the distance is ${distance(own.distance)}, rank ${count(own.rank)}: `,
    `${nearer} strictly nearer. No other head of this layer ranks it better.`,
  ];
}

/** How the vocabulary comes to its encodings. */
function road({ reference, layer }, vocabulary, place) {
  if (reference === "isolated") {
    return `Each of the ${vocabulary} vocabulary tokens is read alone by the model, and its value in layer ${layer} is taken`;
  }
  const through = reference === "input" ? 0 : layer;
  return `Each of the ${vocabulary} vocabulary tokens is sent through the value projection of layer ${through}${place}`;
}

/** The method in steps, with the numbers of this answer. */
export function steps(answer, server) {
  const own = answer.tokens[answer.selected];
  const token = () => h("strong", {}, label(own.label));
  const better = (a, b) => b.own.rank && (!a.own.rank || b.own.rank < a.own.rank);
  const best = answer.heads.reduce((a, b) => (better(a, b) ? b : a));
  const nearest = best.neighbors[0];
  const other = best.positions.find((one) => one.position !== own.position);
  const vocabulary = count(server.vocab_size);
  const place = answer.use_position ? `, as if it stood at position ${own.position}` : ", without a position";
  return h(
    "ol",
    {},
    step(
      "The text becomes tokens",
      `The model’s tokenizer cuts your text into ${count(answer.tokens.length)} tokens. You selected `, token(),
      `, number ${own.id} of a vocabulary of ${vocabulary}, at position ${own.position} (counted from 0).`,
    ),
    step(
      "Every head writes a vector",
      `In layer ${answer.layer}, each of the ${answer.heads.length} heads looks at the positions of the text and mixes `,
      "their values: ", formula("z_i = Σ_j α_ij v_j"), `, ${server.d_head} numbers a head. This is taken before the `,
      "heads are concatenated: it is what one head alone has to say at ", token(), ".",
    ),
    step(
      "The vocabulary takes the same road",
      answer.space !== "value" && `Told for the space value; you chose ${answer.space}. `,
      `${road(answer, vocabulary, place)}: that gives `, formula("R_t"),
      `, ${server.d_head} numbers as well, for every head.`,
    ),
    step(
      "Near means alike",
      `Head ${best.head} puts `, h("strong", {}, label(nearest.label)), ` nearest, at ${answer.metric} distance `,
      `${distance(nearest.distance)}. `, ...standing(token(), best.own),
    ),
    other &&
      step(
        "The text compared with itself",
        `The second table compares outputs with outputs: in head ${best.head}, the one at position ${other.position} (`,
        h("strong", {}, label(other.label)), `) comes nearest to the one at position ${own.position}, at `,
        `${distance(other.distance)}.`,
      ),
    step(
      "What a table cannot say",
      "A head’s value space has no basis of its own: turned, and its output matrix turned back, it leaves the model ",
      "the same. With Reference “Input layer”, a layer above 0 is therefore compared across two unrelated bases (layers ",
      "that share their weights excepted); “This layer” compares within one. And near tokens alone prove nothing: ",
      "some tokens are near to everything, and “Hub-aware” tells which.",
    ),
    step(
      "Is the capture right?",
      "When the model was opened, a probe was read: the captured outputs were rebuilt from weights and values, and the ",
      `layer’s output from them. The largest relative error was ${tiny(server.capture_error)}.`,
    ),
  );
}
