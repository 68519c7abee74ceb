// What is kept of a model from one search to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "prefix_tree.h"
#include "scorer.h"

namespace mlb {

// What a step network said of prefixes earlier: one row for each, parents first.
struct KnownPrefixes {
  static constexpr std::int32_t kNoParent = -1;

  std::span<const std::int32_t> parents;  // row numbers; kNoParent for START's own
  std::span<const std::int32_t> labels;   // the last label of each prefix; START for START's own
  std::span<const float> terms;           // (prefixes, depth)
  std::span<const float> states;          // (prefixes, state_size)
};

// The prefixes of one model, with the scorer that its rows are for.
struct ModelTree {
  ModelTree(Scorer model_scorer, std::size_t floats_of_state);

  // Fills an empty tree, so that the step network need not be asked again. Throws std::invalid_argument, and leaves
  // the tree as it was, where the tree is not empty or a prefix has no parent before it or stands twice.
  void add(const KnownPrefixes& known);
  // Sets a node's rows to what the step network said: term (depth), state (state_size).
  void set_rows(std::int32_t node, std::span<const float> term, std::span<const float> state);

  Scorer scorer;
  std::size_t state_size;
  PrefixTree prefixes;

 private:
  void add_row(const KnownPrefixes& known, std::size_t row);
};

}  // namespace mlb
