#include "vector_math.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>
#include <string_view>

#include "aligned.h"

#ifndef __GNUC__
#error "The kernel is written with GCC's vector extensions: build it with GCC or Clang."
#endif

// Each routine is written once, in the compiler's portable vector type, and compiled for three processors.
// The wheel must run everywhere, so the choice is made when the module is loaded, not by -march.
#define MLB_INLINE [[gnu::always_inline]] inline

namespace mlb {
namespace {

using Float8 [[gnu::vector_size(32)]] = float;
using Int8 [[gnu::vector_size(32)]] = std::int32_t;
using Double8 [[gnu::vector_size(64)]] = double;
using Long8 [[gnu::vector_size(64)]] = std::int64_t;
static_assert(sizeof(Float8) == kLanes * sizeof(float));

constexpr float kInfinity = std::numeric_limits<float>::infinity();

MLB_INLINE Float8 load(const float* from) {
  Float8 value;
  std::memcpy(&value, __builtin_assume_aligned(from, sizeof(Float8)), sizeof(value));
  return value;
}

MLB_INLINE void store(float* to, Float8 value) {
  std::memcpy(__builtin_assume_aligned(to, sizeof(Float8)), &value, sizeof(value));
}

MLB_INLINE Float8 larger(Float8 a, Float8 b) { return a > b ? a : b; }

using Float4 [[gnu::vector_size(16)]] = float;
using Int4 [[gnu::vector_size(16)]] = std::int32_t;

template <typename Half>
struct Halves {
  Half low, high;
};

// Halves are compared before lanes, so that the chain of comparisons is short.
MLB_INLINE float largest_lane(Float8 x) {
  Halves<Float4> half{};
  std::memcpy(&half, &x, sizeof(x));
  const Float4 best = half.low > half.high ? half.low : half.high;
  const float left = best[0] > best[1] ? best[0] : best[1];
  const float right = best[2] > best[3] ? best[2] : best[3];
  return left > right ? left : right;
}

MLB_INLINE std::int32_t smallest_lane(Int8 x) {
  Halves<Int4> half{};
  std::memcpy(&half, &x, sizeof(x));
  const Int4 best = half.low < half.high ? half.low : half.high;
  const std::int32_t left = best[0] < best[1] ? best[0] : best[1];
  const std::int32_t right = best[2] < best[3] ? best[2] : best[3];
  return left < right ? left : right;
}

MLB_INLINE bool all_lanes(Int8 x) {
  std::array<std::int64_t, 4> parts{};
  std::memcpy(parts.data(), &x, sizeof(x));
  return ((parts[0] & parts[1]) & (parts[2] & parts[3])) == -1;
}

MLB_INLINE Double8 load_doubles(const double* from) {
  Double8 value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

MLB_INLINE double sum_of_lanes(Double8 x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }

// exp(x) for -700 <= x <= 709; below -700, exp(-700), which is 0 beside any sum that holds exp(0).
// 2^n * exp(r) with |r| <= ln(2) / 2, and Taylor's series to r^12 / 12!: its error is below 2e-16, relative.
MLB_INLINE Double8 exponential(Double8 x) {
  constexpr double kShift = 0x1.8p52;  // added to a number, it leaves the nearest integer in the low bits
  // Their sum is ln(2); n * kLog2High is exact. NOLINTNEXTLINE(modernize-use-std-numbers): not ln(2) itself
  constexpr double kLog2High = 0x1.62e42fefa3800p-1, kLog2Low = 0x1.ef35793c76730p-45;
  constexpr std::array<double, 13> kFactor = {
      1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,      1.0 / 720,
      1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600};
  const Double8 lowest = Double8{} - 700.0;
  x = x > lowest ? x : lowest;
  const Double8 shifted = x * std::numbers::log2e + kShift;
  const Double8 n = shifted - kShift;
  const Double8 r = (x - n * kLog2High) - n * kLog2Low;
  Double8 series = Double8{} + kFactor[12];
  for (std::size_t k = 12; k-- > 0;) series = series * r + kFactor[k];
  Long8 exponent, bits;
  std::memcpy(&exponent, &shifted, sizeof(exponent));
  std::memcpy(&bits, &series, sizeof(bits));
  bits += exponent << 52;
  std::memcpy(&series, &bits, sizeof(series));
  return series;
}

MLB_INLINE void add_(const float* a, const float* b, float* sum, std::size_t width) {
  for (std::size_t i = 0; i < width; i += kLanes) store(sum + i, load(a + i) + load(b + i));
}

template <std::size_t kVectors>
MLB_INLINE void product_columns(const float* rows, const float* x, const float* initial, float* result,
                                std::size_t depth, std::size_t width) {
  Float8 sums[kVectors];  // NOLINT(*-avoid-c-arrays): std::array<Float8, n> would drop the vector's attribute
  for (std::size_t v = 0; v < kVectors; ++v) sums[v] = load(initial + v * kLanes);
  for (std::size_t d = 0; d < depth; ++d, rows += width) {
    for (std::size_t v = 0; v < kVectors; ++v) sums[v] += load(rows + v * kLanes) * x[d];
  }
  for (std::size_t v = 0; v < kVectors; ++v) store(result + v * kLanes, sums[v]);
}

MLB_INLINE void product_(const float* rows, const float* x, const float* initial, float* result, std::size_t depth,
                         std::size_t width) {
  std::size_t i = 0;
  for (; i + 8 * kLanes <= width; i += 8 * kLanes) {
    product_columns<8>(rows + i, x, initial + i, result + i, depth, width);
  }
  for (; i + 3 * kLanes <= width; i += 3 * kLanes) {
    product_columns<3>(rows + i, x, initial + i, result + i, depth, width);
  }
  for (; i < width; i += kLanes) product_columns<1>(rows + i, x, initial + i, result + i, depth, width);
}

MLB_INLINE void relu_(float* x, std::size_t width) {
  for (std::size_t i = 0; i < width; i += kLanes) {
    const Float8 value = load(x + i);
    store(x + i, value < 0.0F ? Float8{} : value);  // keeps NaN
  }
}

// tanh(x) = sign(x) (1 - t) / (1 + t) with t = exp(-2 |x|), in double, so that 1 - t keeps a float's digits.
MLB_INLINE void tanh_(float* x, std::size_t width) {
  for (std::size_t i = 0; i < width; i += kLanes) {
    const Double8 value = __builtin_convertvector(load(x + i), Double8);
    const Double8 magnitude = value < 0.0 ? -value : value;
    const Double8 t = exponential(-2.0 * magnitude);
    const Double8 ratio = (1.0 - t) / (1.0 + t);
    const Double8 result = value < 0.0 ? -ratio : ratio;
    store(x + i, __builtin_convertvector(value == value ? result : value, Float8));
  }
}

MLB_INLINE float maximum_(const float* scores, std::size_t width) {
  Float8 best = load(scores);
  for (std::size_t i = kLanes; i < width; i += kLanes) best = larger(best, load(scores + i));
  return largest_lane(best);
}

MLB_INLINE bool block_maxima_(const float* scores, float* maxima, std::size_t width) {
  Int8 valid = Int8{} - 1;
  for (std::size_t start = 0; start < width; start += kBlock) {
    const std::size_t stop = start + kBlock < width ? start + kBlock : width;
    Float8 best = Float8{} - kInfinity;
    for (std::size_t i = start; i < stop; i += kLanes) {
      const Float8 value = load(scores + i);
      valid &= value < kInfinity;
      best = larger(value, best);
    }
    *maxima++ = largest_lane(best);
  }
  return all_lanes(valid);
}

MLB_INLINE void weights_(const float* row, float highest, double* weights, std::size_t width) {
  const Double8 offset = Double8{} + static_cast<double>(highest);
  for (std::size_t i = 0; i < width; i += kLanes) {
    const Double8 weight = exponential(__builtin_convertvector(load(row + i), Double8) - offset);
    std::memcpy(weights + i, &weight, sizeof(weight));
  }
}

MLB_INLINE bool join_(const float* a, const float* b, const double* u, const double* v, float* scores, float* maxima,
                      double* total, std::size_t width) {
  Int8 valid = Int8{} - 1;
  Double8 sum{};
  for (std::size_t start = 0; start < width; start += kBlock) {
    const std::size_t stop = start + kBlock < width ? start + kBlock : width;
    Float8 best = Float8{} - kInfinity;
    for (std::size_t i = start; i < stop; i += kLanes) {
      const Float8 value = load(a + i) + load(b + i);
      store(scores + i, value);
      valid &= value < kInfinity;
      best = larger(value, best);
      sum += load_doubles(u + i) * load_doubles(v + i);
    }
    *maxima++ = largest_lane(best);
  }
  *total = sum_of_lanes(sum);
  return all_lanes(valid);
}

MLB_INLINE double multiply_(const float* u, const float* v, float* products, float* maxima, std::size_t width) {
  static_assert(kBlock == 4 * kLanes);
  Float8 sum{};
  for (std::size_t i = 0; i < width; i += kBlock) {
    Float8 value[4];  // NOLINT(*-avoid-c-arrays): std::array<Float8, n> would drop the vector's attribute
    for (std::size_t k = 0; k < 4; ++k) {
      value[k] = load(u + i + k * kLanes) * load(v + i + k * kLanes);
      store(products + i + k * kLanes, value[k]);
    }
    sum += (value[0] + value[1]) + (value[2] + value[3]);
    *maxima++ = largest_lane(larger(larger(value[0], value[1]), larger(value[2], value[3])));
  }
  return sum_of_lanes(__builtin_convertvector(sum, Double8));
}

MLB_INLINE std::int32_t first_index_(const float* scores, float value, std::size_t width) {
  const Int8 none = Int8{} + std::numeric_limits<std::int32_t>::max();
  Int8 index = {0, 1, 2, 3, 4, 5, 6, 7};
  Int8 first = none;
  for (std::size_t i = 0; i < width; i += kLanes, index += static_cast<std::int32_t>(kLanes)) {
    const Int8 found = load(scores + i) == value ? index : none;
    first = found < first ? found : first;
  }
  return smallest_lane(first);
}

MLB_INLINE double sum_exp_(const float* scores, float highest, std::size_t width) {
  const Double8 offset = Double8{} + static_cast<double>(highest);
  Double8 sum{};
  for (std::size_t i = 0; i < width; i += kLanes) {
    sum += exponential(__builtin_convertvector(load(scores + i), Double8) - offset);
  }
  return sum_of_lanes(sum);
}

MLB_INLINE void keep_larger_(float* best, const float* scores, float highest, float log_sum, std::size_t width) {
  for (std::size_t i = 0; i < width; i += kLanes) {
    store(best + i, larger(load(best + i), (load(scores + i) - highest) - log_sum));
  }
}

MLB_INLINE void exp_(float* x, std::size_t width) {
  for (std::size_t i = 0; i < width; i += kLanes) {
    store(x + i, __builtin_convertvector(exponential(__builtin_convertvector(load(x + i), Double8)), Float8));
  }
}

MLB_INLINE bool all_finite_(const float* x, std::size_t count) {
  // A difference x - x is 0 for finite x and NaN for the others; NaN stays NaN in a sum.
  Float8 total{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Float8 value;
    std::memcpy(&value, x + i, sizeof(value));
    total += value - value;
  }
  float rest = 0.0F;
  for (; i < count; ++i) rest += x[i] - x[i];
  for (std::size_t lane = 0; lane < kLanes; ++lane) rest += total[lane];
  return rest == 0.0F;
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): a suffix and an attribute cannot stand in parentheses
#define MLB_TABLE(suffix, target)                                                                                     \
  namespace {                                                                                                         \
  target void weights_##suffix(const float* row, float highest, double* weights, std::size_t width) {                 \
    weights_(row, highest, weights, width);                                                                           \
  }                                                                                                                   \
  target bool join_##suffix(const float* a, const float* b, const double* u, const double* v, float* scores,          \
                            float* maxima, double* total, std::size_t width) {                                        \
    return join_(a, b, u, v, scores, maxima, total, width);                                                           \
  }                                                                                                                   \
  target double multiply_##suffix(const float* u, const float* v, float* result, float* maxima, std::size_t width) {  \
    return multiply_(u, v, result, maxima, width);                                                                    \
  }                                                                                                                   \
  target void add_##suffix(const float* a, const float* b, float* sum, std::size_t width) { add_(a, b, sum, width); } \
  target void product_##suffix(const float* rows, const float* x, const float* initial, float* result,                \
                               std::size_t depth, std::size_t width) {                                                \
    product_(rows, x, initial, result, depth, width);                                                                 \
  }                                                                                                                   \
  target void relu_##suffix(float* x, std::size_t width) { relu_(x, width); }                                         \
  target void tanh_##suffix(float* x, std::size_t width) { tanh_(x, width); }                                         \
  target bool block_maxima_##suffix(const float* scores, float* maxima, std::size_t width) {                          \
    return block_maxima_(scores, maxima, width);                                                                      \
  }                                                                                                                   \
  target std::int32_t first_index_##suffix(const float* scores, float value, std::size_t width) {                     \
    return first_index_(scores, value, width);                                                                        \
  }                                                                                                                   \
  target float maximum_##suffix(const float* scores, std::size_t width) { return maximum_(scores, width); }           \
  target double sum_exp_##suffix(const float* scores, float highest, std::size_t width) {                             \
    return sum_exp_(scores, highest, width);                                                                          \
  }                                                                                                                   \
  target void keep_larger_##suffix(float* best, const float* scores, float highest, float log_sum,                    \
                                   std::size_t width) {                                                               \
    keep_larger_(best, scores, highest, log_sum, width);                                                              \
  }                                                                                                                   \
  target void exp_##suffix(float* x, std::size_t width) { exp_(x, width); }                                           \
  target bool all_finite_##suffix(const float* x, std::size_t count) { return all_finite_(x, count); }                \
  constexpr VectorMath k_##suffix = {                                                                                 \
      weights_##suffix, join_##suffix,        multiply_##suffix,     add_##suffix,         product_##suffix,          \
      relu_##suffix,    tanh_##suffix,        block_maxima_##suffix, first_index_##suffix, maximum_##suffix,          \
      sum_exp_##suffix, keep_larger_##suffix, exp_##suffix,          all_finite_##suffix};                            \
  }

MLB_TABLE(portable, )
#ifdef __x86_64__
MLB_TABLE(avx2, [[gnu::target("avx2,fma")]])
#ifdef __clang__  // it takes a vector's width from its type, and would ignore an attribute that names the width
MLB_TABLE(avx512, [[gnu::target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]])
#else
MLB_TABLE(avx512, [[gnu::target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512")]])
#endif
#endif
// NOLINTEND(bugprone-macro-parentheses)

const VectorMath& portable_vector_math() { return k_portable; }

namespace {

struct Chosen {
  const VectorMath* math;
  const char* name;
};

const Chosen& chosen() {
  static const Chosen one = [] {
    const char* const asked = std::getenv("BENCH_INSTRUCTIONS");
    const std::string_view most = asked == nullptr ? "" : asked;
    if (!most.empty() && most != "portable" && most != "avx2" && most != "avx512") {
      throw std::invalid_argument("BENCH_INSTRUCTIONS: found '" + std::string(most) +
                                  "', allowed: portable, avx2, avx512");
    }
#ifdef __x86_64__
    __builtin_cpu_init();
    if ((most.empty() || most == "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
      return Chosen{.math = &k_avx512, .name = "avx512"};
    }
    if (most != "portable" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return Chosen{.math = &k_avx2, .name = "avx2"};
    }
#endif
    return Chosen{.math = &k_portable, .name = "portable"};
  }();
  return one;
}

}  // namespace

const VectorMath& vector_math() { return *chosen().math; }

const char* instruction_set() { return chosen().name; }

}  // namespace mlb
