#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "aligned.h"
#include "check.h"
#include "vector_math.h"

namespace {

mlb::Floats random_row(std::size_t width, std::mt19937& engine) {
  std::normal_distribution<float> normal(0.0F, 3.0F);
  mlb::Floats row(width);
  for (float& value : row) value = normal(engine);
  return row;
}

void check_multiply(const mlb::VectorMath& math, std::mt19937& engine) {
  constexpr std::size_t kWidth = 32 * mlb::kBlock;
  mlb::Floats u = random_row(kWidth, engine), v = random_row(kWidth, engine), products(kWidth), maxima(32);
  double sum = 0.0;
  for (std::size_t i = 0; i < kWidth; ++i) {
    u[i] = std::abs(u[i]);
    v[i] = std::abs(v[i]);
    sum += static_cast<double>(u[i]) * static_cast<double>(v[i]);
  }
  const double found = math.multiply(u.data(), v.data(), products.data(), maxima.data(), kWidth);
  // A product, two additions in its block and one for each block round.
  CHECK(std::abs(found / sum - 1.0) <= (3.0 + 32.0) * 0x1p-24);
  for (std::size_t i = 0; i < kWidth; ++i) CHECK(products[i] == u[i] * v[i]);
  for (std::size_t block = 0; block < maxima.size(); ++block) {
    const auto first = products.begin() + static_cast<std::ptrdiff_t>(block * mlb::kBlock);
    CHECK(maxima[block] == *std::max_element(first, first + mlb::kBlock));
  }
}

}  // namespace

int main() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const mlb::VectorMath& math = mlb::vector_math();
  const mlb::VectorMath& portable = mlb::portable_vector_math();
  std::mt19937 engine(1);
  check_multiply(math, engine);
  check_multiply(portable, engine);
  for (const std::size_t width : {8U, 24U, 88U, 1008U}) {
    const mlb::Floats a = random_row(width, engine);
    mlb::Floats b = random_row(width, engine);
    b[width - 1] = -kInfinity;
    mlb::Floats one(width), other(width);
    math.add(a.data(), b.data(), one.data(), width);
    portable.add(a.data(), b.data(), other.data(), width);
    CHECK(one == other);
    float highest = -kInfinity;
    double sum = 0.0;
    for (const float value : one) highest = std::max(highest, value);
    for (const float value : one) sum += std::exp(static_cast<double>(value) - highest);
    CHECK(std::abs(math.sum_exp(one.data(), highest, width) / sum - 1.0) < 1e-12);
    // In Release builds processors with fused multiply-add round once where others round twice.
    CHECK(std::abs(math.sum_exp(one.data(), highest, width) / portable.sum_exp(one.data(), highest, width) - 1.0) <
          1e-14);
    mlb::Floats maxima((width + mlb::kBlock - 1) / mlb::kBlock);
    CHECK(math.block_maxima(one.data(), maxima.data(), width));
    CHECK(*std::ranges::max_element(maxima) == highest);
    CHECK(math.all_finite(a.data(), width));
    CHECK(!math.all_finite(b.data(), width));
    one[width / 2] = std::numeric_limits<float>::quiet_NaN();
    CHECK(!math.block_maxima(one.data(), maxima.data(), width));
    mlb::Floats shifted(width);
    for (std::size_t i = 0; i < width; ++i) shifted[i] = -std::abs(a[i]);
    mlb::Floats expected = shifted;
    math.exp(shifted.data(), width);
    for (std::size_t i = 0; i < width; ++i) CHECK(std::abs(shifted[i] / std::exp(expected[i]) - 1.0F) < 1e-6F);
  }
}
