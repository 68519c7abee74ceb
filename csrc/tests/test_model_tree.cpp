// Prefixes known beforehand: they change no answer and save asking; what is no tree is refused and leaves none behind.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "beam.h"
#include "check.h"
#include "model_tree.h"
#include "search_options.h"
#include "waves.h"

namespace {

using namespace mlb_test;

constexpr auto kActivation = mlb::Activation::identity;
constexpr std::int32_t kEnd = kLabels, kStart = kLabels + 1;
const char* const kNoParentBefore = "has no parent before it, or stands twice";
const char* const kOneRowEach = "parents, labels, terms and states must have one row for each prefix";

// KnownPrefixes that owns its rows.
struct Rows {
  std::vector<std::int32_t> parents, labels;
  std::vector<float> terms, states;

  mlb::KnownPrefixes view() const { return {.parents = parents, .labels = labels, .terms = terms, .states = states}; }

  std::vector<float> state(std::int32_t row) const {
    const auto first = states.begin() + static_cast<std::ptrdiff_t>(kState) * row;
    return {first, first + kState};
  }

  // What the step network says of a prefix whose parent, where it has one, was added before.
  void add(std::int32_t parent, std::int32_t label, const std::vector<float>& start) {
    const std::vector<float> before = parent < 0 ? start : state(parent);
    const std::vector<std::int64_t> last_label = {label};
    parents.push_back(parent);
    labels.push_back(label);
    step(last_label, before, terms, states);
  }
};

// START; 3; 5; 3, 5; 5, 0
Rows five_prefixes() {
  const std::vector<float> start = normals(kState, 4);
  Rows rows;
  rows.add(mlb::KnownPrefixes::kNoParent, kStart, start);
  rows.add(0, 3, start);
  rows.add(0, 5, start);
  rows.add(1, 5, start);
  rows.add(2, 0, start);
  return rows;
}

void check_rows() {
  const Rows rows = five_prefixes();
  mlb::ModelTree tree = empty_tree(kActivation);
  tree.add(rows.view());
  CHECK(tree.prefixes.size() == 5);
  CHECK(tree.prefixes.find(mlb::PrefixTree::kSharedRoot, kStart) == 0);
  mlb::Floats expected(tree.scorer.row_width());
  for (std::int32_t node = 0; node < 5; ++node) {
    const auto row = static_cast<std::size_t>(node);
    if (node > 0) CHECK(tree.prefixes.find(rows.parents[row], rows.labels[row]) == node);
    tree.scorer.prefix_row(rows.terms.data() + row * kDepth, expected.data());
    CHECK(std::equal(expected.begin(), expected.begin() + kLabels, tree.prefixes.term(node)));
    const std::vector<float> state = rows.state(node);
    CHECK(std::equal(state.begin(), state.end(), tree.prefixes.state(node)));
  }
}

// All that a search asked for, as it would be stored.
Rows prefixes_of(const mlb::PrefixTree& prefixes, const std::vector<float>& start) {
  Rows rows;
  for (std::int32_t node = 0; node < prefixes.size(); ++node) {
    rows.add(node == 0 ? mlb::KnownPrefixes::kNoParent : prefixes.parent(node), prefixes.label(node), start);
  }
  return rows;
}

void check_answers() {
  const std::vector<float> terms = normals(300 * kDepth, 3), start = normals(kState, 4);
  mlb::ModelTree cold_tree = empty_tree(kActivation), warm_tree = empty_tree(kActivation);
  mlb::BeamSearch cold(cold_tree, short_search(), false, 2), warm(warm_tree, short_search(), false, 2);
  cold.begin(terms, start);
  run(cold);
  CHECK(cold.prefixes_computed() > 5);
  warm_tree.add(prefixes_of(cold_tree.prefixes, start).view());
  warm.begin(terms, start);
  run(warm);
  CHECK(warm.prefixes_computed() == 0);
  CHECK(warm.answers().sequences == cold.answers().sequences);
  CHECK(warm.answers().log_probabilities == cold.answers().log_probabilities);
}

// The tree says why, stays empty, and takes what is right afterwards.
void check_refused(const Rows& rows, const std::string& reason) {
  mlb::ModelTree tree = empty_tree(kActivation);
  CHECK(refusal([&] { tree.add(rows.view()); }) == reason);
  CHECK(tree.prefixes.size() == 0);
  CHECK(tree.prefixes.find(mlb::PrefixTree::kSharedRoot, kStart) == mlb::PrefixTree::kAbsent);
  tree.add(five_prefixes().view());
  CHECK(tree.prefixes.size() == 5);
}

void check_refused(std::size_t row, std::int32_t parent, std::int32_t label) {
  Rows rows = five_prefixes();
  rows.parents[row] = parent;
  rows.labels[row] = label;
  check_refused(rows, "prefix " + std::to_string(row) + " " + kNoParentBefore);
}

void check_prefixes_outside_the_tree() {
  constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();
  check_refused(0, 0, 3);   // no root
  check_refused(0, -1, 3);  // a root other than START
  check_refused(0, mlb::PrefixTree::kSharedRoot, kStart);
  check_refused(1, -1, 3);  // no parent
  check_refused(4, 77, 0);  // a parent that is no row
  check_refused(4, kLargest, 0);
  check_refused(3, 4, 5);        // a parent after its child
  check_refused(3, 3, 5);        // its own parent
  check_refused(2, 0, 3);        // 3 twice
  check_refused(2, -1, kStart);  // START twice
  check_refused(4, 2, kEnd);     // nothing comes after END
  check_refused(4, 2, kStart);   // nothing comes before START
  check_refused(4, 2, -1);
  check_refused(4, 2, kLargest);
}

void check_missing_rows() {
  for (const auto shorten : {+[](Rows& rows) { rows.parents.pop_back(); }, +[](Rows& rows) { rows.labels.pop_back(); },
                             +[](Rows& rows) { rows.terms.pop_back(); }, +[](Rows& rows) { rows.states.pop_back(); }}) {
    Rows rows = five_prefixes();
    shorten(rows);
    check_refused(rows, kOneRowEach);
  }
}

void check_a_tree_in_use() {
  const Rows rows = five_prefixes();
  mlb::ModelTree tree = empty_tree(kActivation);
  tree.add({});
  CHECK(tree.prefixes.size() == 0);
  tree.add(rows.view());
  CHECK(refusal([&] { tree.add(rows.view()); }) == "the tree is not empty");
  CHECK(tree.prefixes.size() == 5);
}

}  // namespace

int main() {
  check_rows();
  check_answers();
  check_prefixes_outside_the_tree();
  check_missing_rows();
  check_a_tree_in_use();
}
