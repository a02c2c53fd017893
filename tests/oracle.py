"""The paper's equations as plain loops over Python numbers, which are float64.

Nothing here shares a line with `ntm`, so that the two can only agree by both being right.
Vectors are lists, matrices lists of rows, and index arithmetic is spelt out.
"""

import math

Vector = list[float]
Matrix = list[list[float]]


def read(memory: Matrix, weighting: Vector) -> Vector:
    """Equation 2."""
    result = [0.0] * len(memory[0])
    for i, row in enumerate(memory):
        for c, value in enumerate(row):
            result[c] += weighting[i] * value
    return result


def erase(memory: Matrix, weighting: Vector, erase_vector: Vector) -> Matrix:
    """Equation 3."""
    return [
        [value * (1 - weighting[i] * erase_vector[c]) for c, value in enumerate(row)]
        for i, row in enumerate(memory)
    ]


def add(memory: Matrix, weighting: Vector, add_vector: Vector) -> Matrix:
    """Equation 4."""
    return [
        [value + weighting[i] * add_vector[c] for c, value in enumerate(row)]
        for i, row in enumerate(memory)
    ]


def cosine_similarity(key: Vector, memory: Matrix) -> Vector:
    """Equation 6, for vectors that are not zero."""
    return [
        sum(u * v for u, v in zip(key, row, strict=True))
        / (math.sqrt(sum(u * u for u in key)) * math.sqrt(sum(v * v for v in row)))
        for row in memory
    ]


def content_weighting(memory: Matrix, key: Vector, strength: float) -> Vector:
    """Equation 5."""
    powers = [math.exp(strength * k) for k in cosine_similarity(key, memory)]
    return [power / sum(powers) for power in powers]


def interpolate(content: Vector, previous: Vector, gate: float) -> Vector:
    """Equation 7."""
    return [gate * c + (1 - gate) * p for c, p in zip(content, previous, strict=True)]


def shift(weighting: Vector, kernel: Vector) -> Vector:
    """Equation 8: w̃(i) = Σⱼ w(j) s(i − j), the sum as the paper has it, over all locations j."""
    n, reach = len(weighting), len(kernel) // 2
    s = [0.0] * n  # the paper's s, one entry for each offset modulo N
    for offset in range(-reach, reach + 1):
        s[offset % n] += kernel[offset + reach]
    return [sum(weighting[j] * s[(i - j) % n] for j in range(n)) for i in range(n)]


def sharpen(weighting: Vector, exponent: float) -> Vector:
    """Equation 9."""
    powers = [w**exponent for w in weighting]
    return [power / sum(powers) for power in powers]
