// What a scorer refuses, and that large scores keep their differences; the rest is tested through the search.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "scorer.h"

namespace {

using mlb_test::refusal;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string refusal_of(const std::vector<float>& output, const std::vector<float>& bias) {
  return refusal([&] { const mlb::Scorer scorer(output, bias, mlb::Activation::identity); });
}

// Two labels and END, of scores 2 size, 2 size - 1 and 2 size - 2, however large: log P of the best.
double best_of_large(mlb::Activation activation, float size) {
  const std::vector<float> output{1.0F, 1.0F, 1.0F, 0.5F, 1.0F, 0.0F};
  const mlb::Scorer scorer(output, std::vector<float>(3), activation);
  const std::vector<float> prefix{size, -2.0F}, image{size, 4.0F};
  mlb::Floats prefix_row(scorer.row_width()), image_row(scorer.row_width());
  scorer.prefix_row(prefix.data(), prefix_row.data());
  scorer.image_row(image.data(), image_row.data());
  mlb::ScoreRows rows = scorer.make_rows();
  scorer.score(prefix_row.data(), image_row.data(), rows);
  scorer.forbid(rows, scorer.end());
  const mlb::Normalizer normalizer = scorer.normalize(rows);
  double score = 0.0;
  const std::int32_t best = scorer.take_best(rows, score);
  CHECK(best == 0);
  const double found = mlb::Scorer::log_probability(rows, normalizer, best, score);
  CHECK(scorer.take_best(rows, score) == 1);
  CHECK(scorer.take_best(rows, score) == -1);
  return found;
}

}  // namespace

int main() {
  const std::vector<float> output(6);
  CHECK(refusal_of(output, {0.0F, 1.0F, -kInfinity}).empty());
  CHECK(refusal_of(output, {0.0F, kInfinity, 0.0F}) == "bias holds NaN or +infinity");
  CHECK(refusal_of(output, {0.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F}) == "bias holds NaN or +infinity");
  for (const mlb::Activation activation : {mlb::Activation::identity, mlb::Activation::relu}) {
    for (const float size : {1.0F, 1e5F, 1e9F, 1e12F}) {
      CHECK(std::abs(best_of_large(activation, size) + std::log1p(std::exp(-1.0))) < 1e-3);
    }
  }
  for (const std::size_t count : {0U, 1U, 4U, 7U}) {
    CHECK(refusal_of(output, std::vector<float>(count)).starts_with("output must be (labels + 1, D)"));
  }
}
