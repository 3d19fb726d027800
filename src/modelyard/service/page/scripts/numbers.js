// Numbers for people, with a no-break space before each unit.

export const LEAST_SURE = 0.5;
// One in a hundred validation pictures is as unlike the training pictures.
export const UNLIKE = 0.99;

// No answer of a network is certain, so neither 0 % nor 100 % is shown.
export function showShare(score) {
  if (score > 0.999) return ">\u00a099.9\u00a0%";
  if (score < 0.001) return "<\u00a00.1\u00a0%";
  return `${(100 * score).toFixed(1)}\u00a0%`;
}

// An accuracy with its 95 % interval, as names and texts.
export function listAccuracy(metrics) {
  const [value, low, high] = ["", "_low", "_high"].map((end) => metrics[`test/accuracy${end}`]);
  if (value === undefined) return [["Accuracy", "not measured"]];
  const percent = (share) => (100 * share).toFixed(2);
  const told = [["Accuracy", `${percent(value)}\u00a0%`]];
  if (low === undefined || high === undefined) return told;
  return [...told, ["95\u00a0% interval", `${percent(low)} to ${percent(high)}\u00a0%`]];
}

export const showSize = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)}\u00a0MB`;

export function showTime(ms) {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))}\u00a0ms` : `${(ms / 1000).toFixed(1)}\u00a0s`;
}
