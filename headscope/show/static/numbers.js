// Numbers for reading, and the scale of a table's bars.

const minus = (text) => text.replace("-", "−");

/** A distance in at most six characters where it can be told in so many; "–" where there is none. */
export function distance(value) {
  if (value === null) return "–";
  const size = Math.abs(value);
  if (size && (size < 5e-4 || size >= 1e5)) return minus(value.toExponential(0));
  for (const digits of [3, 2, 1, 0]) {
    const shown = value.toFixed(digits);
    if (shown.length <= 6 || digits === 0) return minus(shown);
  }
}

/** A small number in powers of ten. */
export const tiny = (value) => minus(value.toExponential(1));

export const count = (value) => value.toLocaleString("en");

/** From where to where the bar of each number of a measure runs, in percent of its cell; of distances, the nearest has the longest. */
export function scale(values, measure) {
  const metric = /^(\w+) distance$/.exec(measure)?.[1];
  if (metric === "cosine") {
    return { bar: (value) => [0, 100 * Math.max(0, 1 - value)], says: "nearness: none at a right angle (distance 1), the whole cell at distance 0." };
  }
  const [low, high] = [Math.min(...values, metric ? Infinity : 0), Math.max(...values, metric ? -Infinity : 0)];
  const at = (value) => (high > low ? (100 * (value - low)) / (high - low) : 0);
  if (metric) {
    const says = `nearness: none at ${distance(high)} (the farthest here), the whole cell at ${distance(low)} (the nearest).`;
    return { bar: (value) => [0, 100 - at(value)], says };
  }
  return { bar: (value) => [at(0), at(value)].sort((a, b) => a - b), says: `${measure}, from ${distance(low)} to ${distance(high)}, each starting at 0.` };
}

/** So many bytes, in words. */
export const size = (bytes) => (bytes < 2 ** 30 ? `${count(Math.max(1, Math.round(bytes / 2 ** 20)))} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`);
