// A small model without a network library: random scores, and a step network that is a wave of label and state.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "beam.h"

namespace mlb_test {

inline constexpr std::int32_t kLabels = 71;
inline constexpr std::size_t kDepth = 6, kState = 3;

inline std::vector<float> normals(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

inline mlb::ModelTree empty_tree(mlb::Activation activation) {
  const std::vector<float> output = normals((kLabels + 1) * kDepth, 1), bias = normals(kLabels + 1, 2);
  return {mlb::Scorer(output, bias, activation), kState};
}

// Appends the terms and the following states of prefixes that end with `labels`, after parents with `states`.
inline void step(std::span<const std::int64_t> labels, std::span<const float> states, std::vector<float>& terms,
                 std::vector<float>& following) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    float mixed = 0.37F * static_cast<float>(labels[i]);
    for (std::size_t s = 0; s < kState; ++s) mixed += states[i * kState + s] * static_cast<float>(s + 1);
    for (std::size_t d = 0; d < kDepth; ++d) terms.push_back(std::sin(mixed * static_cast<float>(d + 2)));
    for (std::size_t s = 0; s < kState; ++s) following.push_back(std::cos(mixed + static_cast<float>(s)));
  }
}

inline void run(mlb::BeamSearch& search) {
  while (search.advance()) {
    std::vector<std::int64_t> labels(search.pending());
    std::vector<float> states(search.pending() * kState), terms, following;
    search.write_pending(labels, states);
    step(labels, states, terms, following);
    search.provide(terms, following);
  }
}

}  // namespace mlb_test
