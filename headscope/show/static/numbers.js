// Numbers for reading, and the scale of a table's bars.

const minus = (text) => text.replace("-", "−");

/** A number in three digits; "–" where there is none. */
export const distance = (value) => (value === null ? "–" : minus(String(Number(value.toPrecision(3)))));

/** A number where there is hardly room: two decimals at most, and no 0 before them. */
export function short(value) {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 9.95 ? 0 : size < 0.995 ? 2 : 1;
  return minus(value.toFixed(digits).replace(/^(-?)0\./, "$1."));
}

/** A small number in powers of ten. */
export const tiny = (value) => minus(value.toExponential(1));

export const count = (value) => value.toLocaleString("en");

/** From where to where the bar of each number of a measure runs, in percent of its cell; of distances, the nearest has the longest. */
export function scale(values, measure) {
  const metric = /^(\w+) distance$/.exec(measure)?.[1];
  if (metric === "cosine") return { bar: (value) => [0, 100 * Math.max(0, 1 - value)], says: "nearness: none at a right angle (distance 1), the whole cell at distance 0." };
  const [low, high] = [Math.min(...values, metric ? Infinity : 0), Math.max(...values, metric ? -Infinity : 0)];
  const at = (value) => (high > low ? (100 * (value - low)) / (high - low) : 0);
  if (metric) return { bar: (value) => [0, 100 - at(value)], says: `nearness: none at ${distance(high)} (the farthest here), the whole cell at ${distance(low)} (the nearest).` };
  return { bar: (value) => [at(0), at(value)].sort((a, b) => a - b), says: `${measure}, from ${distance(low)} to ${distance(high)}, each starting at 0.` };
}
