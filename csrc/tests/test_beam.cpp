// The search without Python: threads, cold and warm trees and whole or divided image sets give one answer.
#include <cmath>
#include <random>
#include <vector>

#include "beam.h"
#include "check.h"

namespace {

constexpr std::int32_t kLabels = 17;
constexpr std::size_t kDepth = 6, kState = 3, kImages = 300;

std::vector<float> normals(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

// A step network that is any function of label and state: terms and states are waves of both.
void step(std::span<const std::int64_t> labels, std::span<const float> states, std::vector<float>& terms,
          std::vector<float>& following) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    float mixed = 0.37F * static_cast<float>(labels[i]);
    for (std::size_t s = 0; s < kState; ++s) mixed += states[i * kState + s] * static_cast<float>(s + 1);
    for (std::size_t d = 0; d < kDepth; ++d) terms.push_back(std::sin(mixed * static_cast<float>(d + 2)));
    for (std::size_t s = 0; s < kState; ++s) following.push_back(std::cos(mixed + static_cast<float>(s)));
  }
}

void run(mlb::BeamSearch& search) {
  while (search.advance()) {
    std::vector<std::int64_t> labels(search.pending());
    std::vector<float> states(search.pending() * kState), terms, following;
    search.write_pending(labels, states);
    step(labels, states, terms, following);
    search.provide(terms, following);
  }
}

void check_equal(const mlb::Answers& a, const mlb::Answers& b) {
  CHECK(a.sequences == b.sequences);
  CHECK(a.log_probabilities == b.log_probabilities);
  CHECK(a.complete == b.complete);
  CHECK(a.class_scores == b.class_scores);
}

void check_options(const mlb::SearchOptions& options, mlb::Activation activation, bool sees_image) {
  const std::vector<float> output = normals((kLabels + 1) * kDepth, 1), bias = normals(kLabels + 1, 2);
  const std::vector<float> terms = normals(kImages * kDepth, 3);
  const std::vector<float> starts = normals((sees_image ? kImages : 1) * kState, 4);
  const mlb::Scorer scorer(output, bias, activation);
  mlb::PrefixTree tree(scorer.row_width(), mlb::padded(kState)), other(scorer.row_width(), mlb::padded(kState));
  mlb::BeamSearch cold(scorer, tree, options, kState, sees_image, 1);
  cold.begin(terms, starts);
  run(cold);
  mlb::BeamSearch warm(scorer, tree, options, kState, sees_image, 4);
  warm.begin(terms, starts);
  run(warm);
  CHECK(warm.prefixes_computed() == 0);
  mlb::BeamSearch threaded(scorer, other, options, kState, sees_image, 4);
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
  const mlb::Scorer scorer(output, bias, mlb::Activation::identity);
  mlb::PrefixTree tree(scorer.row_width(), mlb::padded(kState));
  mlb::BeamSearch search(scorer, tree, {}, kState, false, 1);
  search.begin(terms, starts);
  bool refused = false;
  try {
    run(search);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace

int main() {
  for (const auto search : {mlb::Search::beam, mlb::Search::exact}) {
    for (const auto activation : {mlb::Activation::identity, mlb::Activation::relu, mlb::Activation::tanh}) {
      for (const bool sees_image : {false, true}) {
        for (const bool strict : {false, true}) {
          mlb::SearchOptions options;
          options.search = search;
          options.beam_width = 3;
          options.max_length = 5;
          options.min_length = strict ? 2 : 0;
          options.mask_repeats = strict;
          options.end_consumes_slot = !strict;
          options.class_score = strict ? mlb::ClassScore::beam_marginal : mlb::ClassScore::max_over_steps;
          options.node_limit = 60;
          check_options(options, activation, sees_image);
        }
      }
    }
  }
  check_overflow();
}
