// The mechanism in double precision: ntm/addressing.py and ntm/memory.py, function by
// function and name by name; a test feeds both the same cases.  A memory is an array of
// rows; a weighting, a key or a kernel is an array of numbers.  Loops are plain, as there
// may be ten thousand rows.

const SHORTEST = 1e-3; // as in ntm/addressing.py
const NOTHING = 1e-11; // a row of less weight is neither read nor written: most of ten thousand
const TINY = 2.2250738585072014e-308; // the smallest normal number

const dot = (u, v) => {
  let sum = 0;
  for (let c = 0; c < u.length; c++) sum += u[c] * v[c];
  return sum;
};
const largestOf = (values) => {
  let largest = values[0];
  for (let i = 1; i < values.length; i++) if (values[i] > largest) largest = values[i];
  return largest;
};
const softmax = (values) => {
  const powers = values.slice();
  const largest = largestOf(values);
  let sum = 0;
  for (let i = 0; i < powers.length; i++) sum += powers[i] = Math.exp(values[i] - largest);
  for (let i = 0; i < powers.length; i++) powers[i] /= sum;
  return powers;
};

// K[u, v] = u · v / (‖u‖ ‖v‖)  (equation 6)
export function cosine_similarity(key, memory) {
  const likeness = new key.constructor(memory.length);
  const length = (squares) => Math.max(Math.sqrt(squares), SHORTEST);
  const keyLength = length(dot(key, key));
  for (let i = 0; i < memory.length; i++) {
    const row = memory[i];
    let [product, squares] = [0, 0];
    for (let c = 0; c < key.length; c++) {
      product += key[c] * row[c];
      squares += row[c] * row[c];
    }
    likeness[i] = product / (keyLength * length(squares));
  }
  return likeness;
}

// wᶜ(i) = exp(β K[k, M(i)]) / Σⱼ exp(β K[k, M(j)])  (equation 5)
export function content_weighting(memory, key, strength) {
  const likeness = cosine_similarity(key, memory);
  for (let i = 0; i < likeness.length; i++) likeness[i] *= strength;
  return softmax(likeness);
}

// wᵍ(i) = g wᶜ(i) + (1 − g) wₜ₋₁(i)  (equation 7)
export function interpolate(content, previous, gate) {
  const gated = content.slice();
  for (let i = 0; i < gated.length; i++) gated[i] = gate * content[i] + (1 - gate) * previous[i];
  return gated;
}

// w̃(i) = Σⱼ wᵍ(i − j) s(j), indices modulo N; mass at +1 moves the focus to i + 1  (equation 8)
export function shift(weighting, kernel) {
  const shifted = weighting.slice();
  const locations = weighting.length;
  const reach = (kernel.length - 1) / 2;
  for (let i = 0; i < locations; i++) {
    let sum = 0;
    for (let tap = 0; tap < kernel.length; tap++)
      sum += kernel[tap] * weighting[(i - (tap - reach) + locations) % locations];
    shifted[i] = sum;
  }
  return shifted;
}

// w(i) = w̃(i)ᵞ / Σⱼ w̃(j)ᵞ, as softmax(γ log w̃)  (equation 9)
export function sharpen(weighting, exponent) {
  const powers = weighting.slice();
  const largest = Math.max(largestOf(weighting), TINY);
  for (let i = 0; i < powers.length; i++) powers[i] = exponent * Math.log(Math.max(weighting[i], TINY) / largest);
  return softmax(powers);
}

// Equations 5 to 9 in this order.
export function address(memory, previous, key, strength, gate, kernel, exponent) {
  const content = content_weighting(memory, key, strength);
  const gated = interpolate(content, previous, gate);
  const shifted = shift(gated, kernel);
  const sharpened = sharpen(shifted, exponent);
  return { content, gated, shifted, sharpened };
}

// r = Σᵢ w(i) M(i)  (equation 2)
export function read(memory, weighting) {
  const read_vector = memory[0].map(() => 0);
  attended(weighting, (i) => accumulate(read_vector, memory[i], weighting[i]));
  return read_vector;
}

const copied = (memory) => memory.map((row) => row.slice());
const attended = (weighting, visit) => {
  for (let i = 0; i < weighting.length; i++) if (weighting[i] > NOTHING) visit(i);
};
const accumulate = (sums, row, weight) => {
  for (let c = 0; c < sums.length; c++) sums[c] += weight * row[c];
};
const fade = (row, erase_vector, weight) => {
  for (let c = 0; c < row.length; c++) row[c] *= 1 - weight * erase_vector[c];
};

// M̃(i) = M(i) ∘ (1 − w(i) e)  (equation 3), in a copy unless it is given where
export function erase(memory, weighting, erase_vector, erased = copied(memory)) {
  attended(weighting, (i) => fade(erased[i], erase_vector, weighting[i]));
  return erased;
}

// M(i) = M̃(i) + w(i) a  (equation 4), in a copy unless it is given where
export function add(memory, weighting, add_vector, added = copied(memory)) {
  attended(weighting, (i) => accumulate(added[i], add_vector, weighting[i]));
  return added;
}

// Erase, then add.
export function write(memory, weighting, erase_vector, add_vector) {
  const erased = erase(memory, weighting, erase_vector);
  return add(erased, weighting, add_vector, erased);
}
