#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "check.h"
#include "update.h"

namespace {

std::vector<float> drawn(std::size_t count, float scale, std::mt19937& engine) {
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

void check_near(const std::vector<float>& some, const std::vector<float>& others) {
  CHECK(some.size() == others.size());
  for (std::size_t i = 0; i < some.size(); ++i)
    CHECK(std::abs(some[i] - others[i]) <= 1e-5F * (1.0F + std::abs(some[i])));
}

// A few updates by the widest rule and the portable one: equal but for the last places, whatever the count.
void check_the_same_everywhere(mlb::Rule widest, mlb::Rule portable, float momentum, std::size_t count) {
  std::mt19937 engine(static_cast<unsigned>(count));
  std::vector<float> values = drawn(count, 1.0F, engine), others = values;
  std::vector<float> moments(2 * count), kept = moments;
  for (int step = 1; step <= 3; ++step) {
    const std::vector<float> gradients = drawn(count, 0.1F, engine);
    const mlb::Pace pace{.rate = 0.1F, .momentum = momentum, .weight_decay = 1e-2F, .steps = step};
    widest(values.data(), gradients.data(), moments.data(), count, pace);
    portable(others.data(), gradients.data(), kept.data(), count, pace);
    check_near(values, others);
    check_near(moments, kept);
  }
}

// The first update of a value of 1 by a gradient of 2, by hand.
float updated(mlb::Rule rule, float momentum) {
  float value = 1.0F;
  const float gradient = 2.0F;
  std::vector<float> moments(2);
  rule(&value, &gradient, moments.data(), 1, {.rate = 0.1F, .momentum = momentum, .weight_decay = 0.0F, .steps = 1});
  return value;
}

}  // namespace

int main() {
  const mlb::Rules &widest = mlb::update_rules(), &portable = mlb::portable_update_rules();
  for (const float momentum : {0.0F, 0.9F}) {
    for (std::size_t count = 0; count < 40; ++count) {
      check_the_same_everywhere(widest.rmsprop, portable.rmsprop, momentum, count);
      check_the_same_everywhere(widest.adam, portable.adam, momentum, count);
      check_the_same_everywhere(widest.sgd, portable.sgd, momentum, count);
    }
    CHECK(std::abs(updated(widest.rmsprop, momentum) - (1.0F - 0.1F / std::sqrt(0.05F))) < 1e-6F);
    CHECK(std::abs(updated(widest.adam, momentum) - 0.9F) < 1e-6F);
    CHECK(std::abs(updated(widest.sgd, momentum) - 0.8F) < 1e-6F);
  }
}
