// From the values of channels to the colours on the screen.

const TINTS = { grey: [[1, 1, 1]], colours: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] };

/** For each of 256 values, which stand for intensities from `held[0]` to `held[1]`, what it is between other limits. */
export function lookUpTable(held, wanted) {
  const table = new Uint8ClampedArray(256);
  const range = wanted[1] - wanted[0];
  for (let value = 0; value < 256; value++) {
    const intensity = held[0] + (value / 255) * (held[1] - held[0]);
    table[value] = range > 0 ? (255 * (intensity - wanted[0])) / range : intensity >= wanted[1] ? 255 : 0;
  }
  return table;
}

/**
 * RGBA of pixels with `channelCount` values each.
 *
 * @param values Uint8Array, channels of a pixel beside each other
 * @param tables one look-up table for each channel
 * @param shown for each channel whether it is visible
 */
export function compose(values, channelCount, tables, shown) {
  const count = values.length / channelCount;
  const rgba = new Uint8ClampedArray(count * 4);
  const tints = channelCount === 1 ? TINTS.grey : TINTS.colours;
  const visible = [...Array(channelCount).keys()].filter((channel) => shown[channel] !== false);
  // one channel alone is easier to see in grey
  const alone = visible.length === 1;
  for (let i = 0; i < count; i++) rgba[4 * i + 3] = 255;
  for (const channel of visible) {
    const tint = alone ? TINTS.grey[0] : tints[channel];
    const table = tables[channel];
    for (let i = 0; i < count; i++) {
      const value = table[values[i * channelCount + channel]];
      if (tint[0]) rgba[4 * i] += value;
      if (tint[1]) rgba[4 * i + 1] += value;
      if (tint[2]) rgba[4 * i + 2] += value;
    }
  }
  return rgba;
}
