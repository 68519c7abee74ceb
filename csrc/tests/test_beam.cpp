// The search without Python: threads, cold and warm trees and whole or divided image sets give one answer.
#include <cstdint>
#include <limits>
#include <vector>

#include "beam.h"
#include "check.h"
#include "search_options.h"
#include "waves.h"

namespace {

using namespace mlb_test;

constexpr std::size_t kImages = 144;
// So many scores keep two threads busy: csrc/beam.cpp begins one for each 5,000.
static_assert(kImages * kLabels >= 10'000);

void check_equal(const mlb::Answers& a, const mlb::Answers& b) {
  CHECK(a.sequences == b.sequences);
  CHECK(a.log_probabilities == b.log_probabilities);
  CHECK(a.complete == b.complete);
  CHECK(a.limited == b.limited);
  CHECK(a.beam_missed == b.beam_missed);
  CHECK(a.class_scores == b.class_scores);
}

void check_options(const mlb::SearchOptions& options, mlb::Activation activation, bool sees_image) {
  const std::vector<float> terms = normals(kImages * kDepth, 3);
  const std::vector<float> starts = normals((sees_image ? kImages : 1) * kState, 4);
  mlb::ModelTree tree = empty_tree(activation), other = empty_tree(activation);
  mlb::BeamSearch cold(tree, options, sees_image, 1);
  cold.begin(terms, starts);
  run(cold);
  mlb::BeamSearch warm(tree, options, sees_image, 4);
  warm.begin(terms, starts);
  run(warm);
  CHECK(warm.prefixes_computed() == 0);
  mlb::BeamSearch threaded(other, options, sees_image, 4);
  threaded.begin(terms, starts);
  CHECK(threaded.advance());
  threaded.begin(terms, starts);  // a search that is begun anew has forgotten what it lacked
  run(threaded);
  check_equal(cold.answers(), warm.answers());
  check_equal(cold.answers(), threaded.answers());
}

void check_overflow() {
  const std::vector<float> output((kLabels + 1) * kDepth, 1.0F), bias(kLabels + 1), starts(kState);
  const std::vector<float> terms(kDepth, 3e38F);
  mlb::ModelTree tree(mlb::Scorer(output, bias, mlb::Activation::identity), kState);
  mlb::BeamSearch search(tree, short_search(), false, 1);
  search.begin(terms, starts);
  CHECK(refusal([&] { run(search); }).starts_with("scores overflow float32"));
}

// What the caller's arrays become after begin() reaches no search, and what is refused begins none.
void check_borrowed() {
  mlb::ModelTree tree = empty_tree(mlb::Activation::relu), other = empty_tree(mlb::Activation::relu);
  std::vector<float> terms = normals(kImages * kDepth, 3), starts = normals(kState, 4);
  mlb::BeamSearch expected(tree, short_search(), false, 1), search(other, short_search(), false, 1);
  expected.begin(terms, starts);
  run(expected);
  search.begin(terms, starts);
  terms.assign(1, std::numeric_limits<float>::quiet_NaN());
  starts.assign(1, 1e9F);
  run(search);
  check_equal(expected.answers(), search.answers());
  CHECK(refusal([&] { search.begin(std::vector<float>(kDepth, terms[0]), std::vector<float>(kState)); }) ==
        "image_terms holds NaN or infinity");
  bool refused = false;
  try {
    search.advance();
  } catch (const std::logic_error&) {
    refused = true;
  }
  CHECK(refused);
  mlb::SearchOptions endless = short_search();
  endless.max_length = std::numeric_limits<std::int32_t>::max();
  mlb::BeamSearch large(other, endless, false, 1);
  const std::vector<float> many(kDepth << 15, 0.0F);
  CHECK(refusal([&] { large.begin(many, std::vector<float>(kState)); }).ends_with("set max_length lower"));
  CHECK(refusal([&] {
          const mlb::ModelTree wide(mlb::Scorer(std::vector<float>(2), std::vector<float>(2), mlb::Activation::tanh),
                                    std::size_t{1} << 62);
        }).starts_with("state_size is 4611686018427387904"));
}

void check_range() {
  mlb::ModelTree tree = empty_tree(mlb::Activation::relu);
  for (const auto damage : {+[](mlb::SearchOptions& options) { options.beam_width = 0; },
                            +[](mlb::SearchOptions& options) { options.max_length = 0; },
                            +[](mlb::SearchOptions& options) { options.min_length = -1; },
                            +[](mlb::SearchOptions& options) { options.node_limit = 0; }}) {
    mlb::SearchOptions options = short_search();
    damage(options);
    CHECK(
        refusal([&] { const mlb::BeamSearch search(tree, options, false, 1); }).starts_with("beam_width, max_length"));
  }
}

}  // namespace

int main() {
  for (const auto search : {mlb::Search::beam, mlb::Search::exact}) {
    for (const auto activation : {mlb::Activation::identity, mlb::Activation::tanh}) {
      for (const bool sees_image : {false, true}) {
        for (const bool strict : {false, true}) {
          mlb::SearchOptions options = short_search();
          options.search = search;
          options.node_limit = 30;  // most exact searches reach it, some do not
          options.min_length = strict ? 2 : 0;
          options.mask_repeats = strict;
          options.end_consumes_slot = !strict;
          options.class_score = strict ? mlb::ClassScore::beam_marginal : mlb::ClassScore::max_over_steps;
          check_options(options, activation, sees_image);
        }
      }
    }
  }
  check_overflow();
  check_range();
  check_borrowed();
}
