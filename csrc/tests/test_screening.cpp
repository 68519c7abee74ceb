// Screened rounds give the answers of exact rounds, to the bit: where all is clear, where every label has an equal, and
// where rows are wide. What screening is held to are searches whose class scores need every ended path.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "beam.h"
#include "check.h"
#include "search_options.h"
#include "waves.h"

namespace {

using namespace mlb_test;

constexpr std::int32_t kMany = 520;
static_assert(kMany + 1 >= mlb::kFewestScreened);
constexpr std::size_t kImages = 20;
static_assert(kImages * kMany >= 10'000);  // two threads, as in test_beam.cpp

void check_model(const std::vector<float>& output, const std::vector<float>& bias, std::int32_t beam_width,
                 std::int32_t min_length) {
  const bool widest = beam_width > kMany;
  const std::vector<float> terms = normals((widest ? 2 : kImages) * kDepth, 3), starts = normals(kState, 4);
  mlb::ModelTree tree(mlb::Scorer(output, bias, mlb::Activation::identity), kState);
  mlb::SearchOptions options = short_search();
  options.beam_width = beam_width;
  options.min_length = min_length;
  if (widest) options.max_length = 1;
  options.class_score = mlb::ClassScore::beam_marginal;
  mlb::BeamSearch exact(tree, options, false, 1);
  exact.begin(terms, starts);
  run(exact);
  options.class_score = mlb::ClassScore::max_over_steps;
  for (const bool log_probabilities : {false, true}) {
    mlb::BeamSearch screened(tree, options, false, 3);
    screened.begin(terms, starts, log_probabilities, log_probabilities);
    run(screened);
    CHECK(screened.answers().sequences == exact.answers().sequences);
    CHECK(screened.answers().complete == exact.answers().complete);
    CHECK(screened.answers().log_probabilities ==
          (log_probabilities ? exact.answers().log_probabilities : std::vector<double>{}));
  }
}

// What a first look says of probabilities is out by no more than it says.
void check_error(const std::vector<float>& output, const std::vector<float>& bias, bool end_allowed) {
  const mlb::Scorer scorer(output, bias, mlb::Activation::identity);
  mlb::Floats prefix(scorer.row_width()), image(scorer.row_width());
  scorer.prefix_row(normals(kDepth, 5).data(), prefix.data());
  scorer.image_row(normals(kDepth, 6).data(), image.data());
  mlb::Screening look = scorer.make_screening();
  CHECK(scorer.screen(prefix.data(), image.data(), end_allowed, look));
  mlb::ScoreRows rows = scorer.make_rows();
  scorer.score(prefix.data(), image.data(), rows);
  if (!end_allowed) scorer.forbid(rows, scorer.end());
  const mlb::Normalizer normalizer = scorer.normalize(rows);
  std::int32_t taken = 0;
  float product = 0.0F;
  for (std::int32_t label = 0; (label = scorer.take_likeliest(look, product)) >= 0; ++taken) {
    const double exact = std::exp(mlb::Scorer::log_probability(rows, normalizer, label));
    CHECK(std::abs(static_cast<double>(product) * look.scale / exact - 1.0) <= look.error);
  }
  CHECK(taken == scorer.labels() + (end_allowed ? 1 : 0));
}

}  // namespace

int main() {
  const std::vector<float> output = normals((kMany + 1) * kDepth, 1), bias = normals(kMany + 1, 2);
  std::vector<float> twins = output, twin_bias = bias, wide = output;
  for (std::size_t label = 0; label < kMany; label += 2) {
    std::copy_n(twins.begin() + static_cast<std::ptrdiff_t>(label * kDepth), kDepth,
                twins.begin() + static_cast<std::ptrdiff_t>((label + 1) * kDepth));
    twin_bias[label + 1] = twin_bias[label];
  }
  for (float& value : wide) value *= 400.0F;
  check_error(output, bias, true);
  check_error(output, bias, false);
  for (const std::int32_t beam_width : {1, 5, kMany + 9}) {
    for (const std::int32_t min_length : {0, 3}) {
      check_model(output, bias, beam_width, min_length);
      check_model(twins, twin_bias, beam_width, min_length);
      check_model(wide, bias, beam_width, min_length);
    }
  }
}
