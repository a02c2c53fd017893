// The mechanism in double precision: ntm/addressing.py and ntm/memory.py, function by
// function and name by name; a test feeds both the same cases.  A memory is an array of
// rows; a weighting, a key or a kernel is an array of numbers.

const SHORTEST = 1e-3; // as in ntm/addressing.py
const TINY = 2.2250738585072014e-308; // the smallest normal number

const dot = (u, v) => u.reduce((sum, x, c) => sum + x * v[c], 0);
const softmax = (values) => {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
};

// K[u, v] = u · v / (‖u‖ ‖v‖)  (equation 6)
export function cosine_similarity(key, memory) {
  const length = (v) => Math.max(Math.hypot(...v), SHORTEST);
  return memory.map((row) => dot(key, row) / (length(key) * length(row)));
}

// wᶜ(i) = exp(β K[k, M(i)]) / Σⱼ exp(β K[k, M(j)])  (equation 5)
export function content_weighting(memory, key, strength) {
  return softmax(cosine_similarity(key, memory).map((likeness) => strength * likeness));
}

// wᵍ(i) = g wᶜ(i) + (1 − g) wₜ₋₁(i)  (equation 7)
export function interpolate(content, previous, gate) {
  return content.map((weight, i) => gate * weight + (1 - gate) * previous[i]);
}

// w̃(i) = Σⱼ wᵍ(i − j) s(j), indices modulo N; mass at +1 moves the focus to i + 1  (equation 8)
export function shift(weighting, kernel) {
  const locations = weighting.length;
  const reach = (kernel.length - 1) / 2;
  return weighting.map((_, i) =>
    kernel.reduce((sum, mass, tap) => {
      const from = (((i - (tap - reach)) % locations) + locations) % locations;
      return sum + mass * weighting[from];
    }, 0),
  );
}

// w(i) = w̃(i)ᵞ / Σⱼ w̃(j)ᵞ, as softmax(γ log w̃)  (equation 9)
export function sharpen(weighting, exponent) {
  const positive = weighting.map((weight) => Math.max(weight, TINY));
  const largest = Math.max(...positive);
  return softmax(positive.map((weight) => exponent * Math.log(weight / largest)));
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
  return memory[0].map((_, c) => memory.reduce((sum, row, i) => sum + weighting[i] * row[c], 0));
}

// M̃(i) = M(i) ∘ (1 − w(i) e)  (equation 3)
export function erase(memory, weighting, erase_vector) {
  return memory.map((row, i) => row.map((x, c) => x * (1 - weighting[i] * erase_vector[c])));
}

// M(i) = M̃(i) + w(i) a  (equation 4)
export function add(memory, weighting, add_vector) {
  return memory.map((row, i) => row.map((x, c) => x + weighting[i] * add_vector[c]));
}

// Erase, then add.
export function write(memory, weighting, erase_vector, add_vector) {
  return add(erase(memory, weighting, erase_vector), weighting, add_vector);
}
