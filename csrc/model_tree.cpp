#include "model_tree.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace mlb {

namespace {

// Returns the floats of a row that can be kept. Throws std::invalid_argument for more.
std::size_t checked(const char* name, std::size_t floats) {
  if (floats <= kWidestRow) return floats;
  throw std::invalid_argument(std::string(name) + " is " + std::to_string(floats) + ", must be at most " +
                              std::to_string(kWidestRow));
}

}  // namespace

ModelTree::ModelTree(Scorer model_scorer, std::size_t floats_of_state)
    : scorer(std::move(model_scorer)),
      state_size(checked("state_size", floats_of_state)),
      prefixes(checked("the width of a row of scores", scorer.row_width()), padded(floats_of_state)) {}

void ModelTree::add(const KnownPrefixes& known) {
  const std::size_t count = known.parents.size();
  if (known.labels.size() != count || known.terms.size() != count * scorer.depth() ||
      known.states.size() != count * state_size) {
    throw std::invalid_argument("parents, labels, terms and states must have one row for each prefix");
  }
  if (prefixes.size() != 0) throw std::invalid_argument("the tree is not empty");
  try {
    for (std::size_t row = 0; row < count; ++row) add_row(known, row);
  } catch (...) {
    prefixes.truncate(0);
    throw;
  }
}

// Rows are numbered as nodes are, because the tree was empty.
void ModelTree::add_row(const KnownPrefixes& known, std::size_t row) {
  const std::int32_t parent = known.parents[row];
  const std::int32_t label = known.labels[row];
  const bool is_root = parent == KnownPrefixes::kNoParent && label == scorer.start();
  const bool is_child = parent >= 0 && parent < prefixes.size() && label >= 0 && label < scorer.end();
  const std::int32_t parent_node = is_root ? PrefixTree::kSharedRoot : parent;
  if ((!is_root && !is_child) || prefixes.find(parent_node, label) != PrefixTree::kAbsent) {
    throw std::invalid_argument("prefix " + std::to_string(row) + " has no parent before it, or stands twice");
  }
  const std::int32_t node = prefixes.insert(parent_node, label);
  set_rows(node, known.terms.subspan(row * scorer.depth(), scorer.depth()),
           known.states.subspan(row * state_size, state_size));
}

void ModelTree::set_rows(std::int32_t node, std::span<const float> term, std::span<const float> state) {
  scorer.prefix_row(term.data(), prefixes.term(node));
  std::ranges::copy(state, prefixes.state(node));
}

}  // namespace mlb
