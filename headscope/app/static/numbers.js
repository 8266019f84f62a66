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

/** One linear scale for a whole table; it always holds 0, where every bar starts. */
export function scale(values) {
  const finite = values.filter((value) => value !== null);
  const low = Math.min(0, ...finite);
  const high = Math.max(0, ...finite);
  const at = (value) => (high > low ? (value - low) / (high - low) : 0);
  return {
    low,
    high,
    /** From where to where the bar of a value runs, in percent of the cell. */
    bar(value) {
      if (value === null) return [0, 0];
      const [from, to] = [at(0), at(value)].sort((a, b) => a - b);
      return [100 * from, 100 * to];
    },
  };
}

/** What the bars of a table show. */
export function legend({ low, high }) {
  if (low < 0 && high > 0) return `Bars: from ${distance(low)} to ${distance(high)}, each starting at 0.`;
  if (low < 0) return `Bars: 0 at the right edge, ${distance(low)} (the nearest here) across the whole cell.`;
  return `Bars: 0 at the left edge, ${distance(high)} (the farthest here) across the whole cell.`;
}

/** So many bytes, in words. */
export const size = (bytes) => (bytes < 2 ** 30 ? `${count(Math.max(1, Math.round(bytes / 2 ** 20)))} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`);
