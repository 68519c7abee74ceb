// What a scorer refuses; what it computes is tested through the search.
#include <cstddef>
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

}  // namespace

int main() {
  const std::vector<float> output(6);
  CHECK(refusal_of(output, {0.0F, 1.0F, -kInfinity}).empty());
  CHECK(refusal_of(output, {0.0F, kInfinity, 0.0F}) == "bias holds NaN or +infinity");
  CHECK(refusal_of(output, {0.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F}) == "bias holds NaN or +infinity");
  for (const std::size_t count : {0U, 1U, 4U, 7U}) {
    CHECK(refusal_of(output, std::vector<float>(count)).starts_with("output must be (labels + 1, D)"));
  }
}
