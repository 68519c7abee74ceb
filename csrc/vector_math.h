// Arithmetic on padded rows of floats, in the widest vector instructions that the running processor has.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlb {

// Entries that share one maximum, so that taking the best few of a row does not read the whole row each time.
inline constexpr std::size_t kBlock = 32;

// `width` is a padded row length, in floats; rows are aligned. No result depends on anything but the arguments
// and, in its last bits, on the processor: where it can, a product and a sum are one rounding. Without that, exp takes
// a fifth longer.
struct VectorMath {
  // weights = exp(row - highest); highest is the row's maximum.
  void (*weights)(const float* row, float highest, double* weights, std::size_t width);
  // Writes scores = a + b and their block maxima, and *total = the sum of u * v; returns what block_maxima does.
  bool (*join)(const float* a, const float* b, const double* u, const double* v, float* scores, float* maxima,
               double* total, std::size_t width);
  // Writes products = u * v and the maximum of each block; returns their sum, which float additions make: of a block's
  // entries two of them, and of blocks one each. width is a multiple of kBlock.
  double (*multiply)(const float* u, const float* v, float* products, float* maxima, std::size_t width);
  // sum = a + b
  void (*add)(const float* a, const float* b, float* sum, std::size_t width);
  // result = initial + the sum over d < depth of x[d] * rows[d], d in ascending order
  void (*product)(const float* rows, const float* x, const float* initial, float* result, std::size_t depth,
                  std::size_t width);
  void (*relu)(float* x, std::size_t width);
  void (*tanh)(float* x, std::size_t width);
  // Writes the maximum of each block of kBlock entries; returns false where an entry is NaN or +infinity.
  bool (*block_maxima)(const float* scores, float* maxima, std::size_t width);
  // Returns the first index < width at which scores holds value, or a number >= width.
  std::int32_t (*first_index)(const float* scores, float value, std::size_t width);
  // Returns the maximum of scores.
  float (*maximum)(const float* scores, std::size_t width);
  // Returns the sum of exp(scores - highest), in double; highest is their maximum and finite.
  double (*sum_exp)(const float* scores, float highest, std::size_t width);
  // best = max(best, (scores - highest) - log_sum)
  void (*keep_larger)(float* best, const float* scores, float highest, float log_sum, std::size_t width);
  // x = exp(x) for x <= 0
  void (*exp)(float* x, std::size_t width);
  // Returns whether no entry is NaN or infinite. Any count, any alignment.
  bool (*all_finite)(const float* x, std::size_t count);
};

// The table for the running processor, or a lesser one that the environment variable BENCH_INSTRUCTIONS names,
// "portable" or "avx2": so what another processor computes can be tried. Looked at once. Throws std::invalid_argument
// for another name.
const VectorMath& vector_math();

// The name of that table: "portable", "avx2" or "avx512".
const char* instruction_set();

// The table for processors without AVX2, and elsewhere; tests hold the others to it.
const VectorMath& portable_vector_math();

}  // namespace mlb
