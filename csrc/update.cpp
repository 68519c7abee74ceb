#include "update.h"

#include <cmath>

#ifndef __GNUC__
#error "The update is compiled for two processors by GCC's attributes: build it with GCC or Clang."
#endif

#define MLB_INLINE [[gnu::always_inline]] inline

namespace mlb {
namespace {

// What is added to the root of the mean square, so that it can be divided by.
constexpr float kTiny = 1e-8F;

// a * b + c, in one rounding where the processor has such an instruction: exactly where torch's operations do so.
template <bool kFused>
MLB_INLINE float multiply_add(float a, float b, float c) {
  if constexpr (kFused)
    return __builtin_fmaf(a, b, c);
  else
    return a * b + c;
}

template <bool kFused, bool kVelocity>
MLB_INLINE void rmsprop_(float* __restrict values, const float* __restrict gradients, float* __restrict squares,
                         float* __restrict velocities, std::size_t count, const Pace& pace) {
  const float rate = static_cast<float>(pace.rate), momentum = pace.momentum, decay = pace.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    const float gradient = multiply_add<kFused>(decay, values[i], gradients[i]);
    squares[i] = multiply_add<kFused>(0.05F * gradient, gradient, 0.95F * squares[i]);
    const float root = std::sqrt(squares[i]) + kTiny;
    if constexpr (kVelocity) {
      velocities[i] = momentum * velocities[i] + gradient / root;
      values[i] = multiply_add<kFused>(-rate, velocities[i], values[i]);
    } else {
      values[i] -= rate * gradient / root;
    }
  }
}

template <bool kFused>
MLB_INLINE void adam_(float* __restrict values, const float* __restrict gradients, float* __restrict means,
                      float* __restrict squares, std::size_t count, const Pace& pace) {
  // Both means are freed of their start at zero.
  const auto steps = static_cast<double>(pace.steps);
  const auto share = static_cast<float>(std::sqrt(1.0 - std::pow(0.999, steps)));
  const auto rate = static_cast<float>(pace.rate / (1.0 - std::pow(0.9, steps)));
  const float decay = pace.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    const float gradient = multiply_add<kFused>(decay, values[i], gradients[i]);
    means[i] = multiply_add<kFused>(0.1F, gradient - means[i], means[i]);
    squares[i] = multiply_add<kFused>(0.001F * gradient, gradient, 0.999F * squares[i]);
    values[i] -= rate * means[i] / (std::sqrt(squares[i]) / share + kTiny);
  }
}

template <bool kFused, bool kVelocity>
MLB_INLINE void sgd_(float* __restrict values, const float* __restrict gradients, float* __restrict velocities,
                     std::size_t count, const Pace& pace) {
  const float rate = static_cast<float>(pace.rate), momentum = pace.momentum, decay = pace.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    float step = multiply_add<kFused>(decay, values[i], gradients[i]);
    if constexpr (kVelocity) step = velocities[i] = momentum * velocities[i] + step;
    values[i] = multiply_add<kFused>(-rate, step, values[i]);
  }
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): a suffix and an attribute cannot stand in parentheses
#define MLB_RULES(suffix, fused, target)                                                                  \
  namespace {                                                                                             \
  target void rmsprop_##suffix(float* values, const float* gradients, float* moments, std::size_t count,  \
                               const Pace& pace) {                                                        \
    if (pace.momentum > 0.0F)                                                                             \
      rmsprop_<fused, true>(values, gradients, moments, moments + count, count, pace);                    \
    else                                                                                                  \
      rmsprop_<fused, false>(values, gradients, moments, nullptr, count, pace);                           \
  }                                                                                                       \
  target void adam_##suffix(float* values, const float* gradients, float* moments, std::size_t count,     \
                            const Pace& pace) {                                                           \
    adam_<fused>(values, gradients, moments, moments + count, count, pace);                               \
  }                                                                                                       \
  target void sgd_##suffix(float* values, const float* gradients, float* moments, std::size_t count,      \
                           const Pace& pace) {                                                            \
    if (pace.momentum > 0.0F)                                                                             \
      sgd_<fused, true>(values, gradients, moments, count, pace);                                         \
    else                                                                                                  \
      sgd_<fused, false>(values, gradients, nullptr, count, pace);                                        \
  }                                                                                                       \
  constexpr Rules k_##suffix = {.rmsprop = rmsprop_##suffix, .adam = adam_##suffix, .sgd = sgd_##suffix}; \
  }

MLB_RULES(portable, false, )
#ifdef __x86_64__
MLB_RULES(avx2, true, [[gnu::target("avx2,fma")]])
#endif
// NOLINTEND(bugprone-macro-parentheses)

const Rules& portable_update_rules() { return k_portable; }

const Rules& update_rules() {
#ifdef __x86_64__
  __builtin_cpu_init();
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (wide) return k_avx2;
#endif
  return k_portable;
}

}  // namespace mlb
