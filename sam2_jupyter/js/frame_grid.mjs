// How frames are numbered along one axis or two; of two the second runs fastest. `axes`: [{axis, length}].

/** Where a frame is on each axis. */
export function placesOf(frame, axes) {
  const places = [];
  let left = frame;
  for (const { length } of [...axes].reverse()) {
    places.unshift(left % length);
    left = Math.floor(left / length);
  }
  return places;
}

export function frameAt(places, axes) {
  return axes.reduce((frame, { length }, i) => frame * length + places[i], 0);
}

/** The frame at another place on one axis, brought into the axis. */
export function movedTo(frame, axes, number, place) {
  const places = placesOf(frame, axes);
  places[number] = Math.max(0, Math.min(axes[number].length - 1, Math.round(place)));
  return frameAt(places, axes);
}

/** A frame for people to read: "z 3", or "t 1, z 3". */
export function frameInWords(frame, axes) {
  return placesOf(frame, axes).map((place, i) => `${axes[i].axis} ${place}`).join(", ");
}
