#include "scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace mlb {

namespace {
constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr double kLowest = std::numeric_limits<float>::lowest();
constexpr double kSmallestTotal = 1e-200;  // below it, products of weights may have lost their small end

// Of a first look. Weights are at most 1; so scaled, products of those that are not set to 0 are ordinary floats.
constexpr std::size_t kHead = kLine;  // floats before the weights
constexpr double kWeightScale = 0x1p56, kProductScale = kWeightScale * kWeightScale;
constexpr double kSmallestScaled = 0x1p-62;
constexpr double kSmallestSum = 0x1p-64;
constexpr double kFloatRounding = 0x1p-24;

// The part of a row behind its scores. In float, equal sums of other weights would no longer come out equal.
// NOLINTBEGIN(*-reinterpret-cast): doubles in a row of floats, which is aligned for both
const double* weights_of(const float* row, std::size_t width) { return reinterpret_cast<const double*>(row + width); }
double* weights_of(float* row, std::size_t width) { return reinterpret_cast<double*>(row + width); }
// NOLINTEND(*-reinterpret-cast)

// What stands behind the weights, and in the head of a first look.
constexpr std::size_t kHighest = 0, kEndWeight = 1, kWide = 2, kDoubles = 3;

// Returns how many labels there are besides END. Throws std::invalid_argument for more than int32 numbers them.
std::int32_t labels_of(std::size_t entries) {
  if (entries <= kWidestRow) return static_cast<std::int32_t>(entries) - 1;
  throw std::invalid_argument("bias has " + std::to_string(entries) + " entries, must have at most " +
                              std::to_string(kWidestRow));
}

// The length of a vector; in four sums, which do not wait for one another.
double norm(const float* x, std::size_t count) {
  double a = 0.0, b = 0.0, c = 0.0, d = 0.0;
  const auto square = [x](std::size_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); };
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    a += square(i);
    b += square(i + 1);
    c += square(i + 2);
    d += square(i + 3);
  }
  for (; i < count; ++i) a += square(i);
  return std::sqrt((a + b) + (c + d));
}

}  // namespace

Scorer::Scorer(std::span<const float> output, std::span<const float> bias, Activation activation)
    : math_(vector_math()),
      labels_(labels_of(bias.size())),
      depth_(bias.empty() ? 0 : output.size() / bias.size()),
      score_width_(padded(bias.size())),
      folded_(activation == Activation::identity),
      look_width_(folded_ && bias.size() >= kFewestScreened ? kHead + rounded_up(bias.size(), kBlock) : 0),
      row_width_(look_width_ + (folded_ ? 3 * score_width_ : padded(depth_)) + kLanes),
      activation_(activation),
      columns_(depth_ * score_width_, 0.0F),
      bias_(score_width_, kForbidden),
      zeros_(score_width_, 0.0F) {
  if (labels_ < 1 || depth_ < 1 || output.size() != depth_ * bias.size()) {
    throw std::invalid_argument("output must be (labels + 1, D) and bias (labels + 1), with a label at least");
  }
  for (const float value : bias) {
    if (!(value < std::numeric_limits<float>::infinity())) throw std::invalid_argument("bias holds NaN or +infinity");
  }
  if (screens()) row_width_ = rounded_up(row_width_, kLine);
  std::ranges::copy(bias, bias_.begin());
  for (std::size_t label = 0; label < bias.size(); ++label) {
    largest_norm_ = std::max(largest_norm_, norm(output.data() + label * depth_, depth_));
    if (std::isfinite(bias[label])) largest_bias_ = std::max(largest_bias_, std::abs(static_cast<double>(bias[label])));
    for (std::size_t d = 0; d < depth_; ++d) columns_[d * score_width_ + label] = output[label * depth_ + d];
  }
}

ScoreRows Scorer::make_rows() const {
  return {.scores = Floats(score_width_),
          .maxima = Floats((score_width_ + kBlock - 1) / kBlock),
          .joint = Floats(padded(depth_)),
          .exact = std::vector<double>(static_cast<std::size_t>(labels_) + 1)};
}

void Scorer::prefix_row(const float* term, float* row) const {
  if (folded_) {
    folded_row(term, zeros_, 0.0, row);
  } else {
    std::fill(std::copy_n(term, depth_, row), row + row_width(), 0.0F);
    row[padded(depth_)] = is_wide(term, largest_bias_) ? 1.0F : 0.0F;
  }
}

void Scorer::image_row(const float* term, float* row) const {
  if (folded_) {
    folded_row(term, bias_, largest_bias_, row);
  } else {
    prefix_row(term, row);
  }
}

// By Cauchy and Schwarz no score is larger, nor is what is summed up on the way to it.
bool Scorer::is_wide(const float* term, double bias) const {
  return norm(term, depth_) * largest_norm_ + bias > kLargestInFloat;
}

void Scorer::folded_row(const float* term, const Floats& initial, double bias, float* whole_row) const {
  float* row = whole_row + look_width_;
  math_.product(columns_.data(), term, initial.data(), row, depth_, score_width_);
  const bool wide = is_wide(term, bias);
  double* weights = weights_of(row, score_width_);
  if (wide) {
    std::fill_n(weights, score_width_ + 2, 0.0);
    write_exact(term, initial, weights);
  } else {
    write_weights(row);
  }
  weights[score_width_ + kWide] = wide ? 1.0 : 0.0;
  if (screens()) write_look(whole_row);
}

void Scorer::write_exact(const float* term, const Floats& initial, double* exact) const {
  const auto entries = static_cast<std::size_t>(labels_) + 1;
  std::copy_n(initial.data(), entries, exact);
  for (std::size_t d = 0; d < depth_; ++d) {
    const float* column = columns_.data() + d * score_width_;
    for (std::size_t k = 0; k < entries; ++k) exact[k] += static_cast<double>(column[k]) * static_cast<double>(term[d]);
  }
}

void Scorer::write_weights(float* row) const {
  const auto entries = static_cast<std::size_t>(labels_) + 1;
  const float highest = *std::max_element(row, row + entries);
  double* weights = weights_of(row, score_width_);
  math_.weights(row, highest, weights, score_width_);
  weights[score_width_ + kHighest] = highest;
  weights[score_width_ + kEndWeight] = weights[entries - 1];
  std::fill(weights + entries - 1, weights + score_width_, 0.0);
}

void Scorer::write_look(float* row) const {
  const double* weights = weights_of(row + look_width_, score_width_);
  std::fill_n(row, look_width_, 0.0F);
  std::copy_n(weights + score_width_, kDoubles, weights_of(row, 0));
  const auto labels = static_cast<std::size_t>(labels_);
  for (std::size_t k = 0; k < labels; ++k) {
    const double scaled = weights[k] * kWeightScale;
    row[kHead + k] = scaled < kSmallestScaled ? 0.0F : static_cast<float>(scaled);
  }
}

Screening Scorer::make_screening() const {
  const std::size_t width = screens() ? look_width_ - kHead : 0;
  return {.products = Floats(width), .maxima = Floats(padded(width / kBlock))};
}

bool Scorer::screen(const float* prefix_row, const float* image_row, bool end_allowed, Screening& screening) const {
  const double* prefix = weights_of(prefix_row, 0);
  const double* image = weights_of(image_row, 0);
  if (prefix[kWide] + image[kWide] > 0.0) return false;
  const std::size_t width = screening.products.size(), blocks = width / kBlock;
  const double sum =
      math_.multiply(prefix_row + kHead, image_row + kHead, screening.products.data(), screening.maxima.data(), width) /
      kProductScale;
  const double end = end_allowed ? prefix[kEndWeight] * image[kEndWeight] : 0.0;
  const auto scaled_end = static_cast<float>(end * kProductScale);
  float& highest = screening.maxima[static_cast<std::size_t>(labels_) / kBlock];
  screening.products[static_cast<std::size_t>(labels_)] = scaled_end;
  highest = std::max(highest, scaled_end);
  screening.scale = 1.0 / ((sum + end) * kProductScale);
  // Two weights and a product are rounded, of a label and in the sum, and the sum once for each block and twice more.
  screening.error = kFloatRounding * (static_cast<double>(blocks) + 16.0);
  // Each label's score is rounded, which is at most |highest| and the logarithm of the least product away from 0.
  screening.score_error = 2.0 * kFloatRounding * (std::abs(prefix[kHighest] + image[kHighest]) + 256.0);
  // What was set to 0 is then less than labels * 2^-54 of the sum, and no such label has more than 2^-54.
  return sum > kSmallestSum && std::isfinite(sum);
}

std::int32_t Scorer::take_likeliest(Screening& screening, float& product) const {
  Floats& maxima = screening.maxima;
  product = math_.maximum(maxima.data(), maxima.size());
  if (product <= 0.0F) return -1;
  const auto block = static_cast<std::size_t>(math_.first_index(maxima.data(), product, maxima.size()));
  float* entries = screening.products.data() + block * kBlock;
  const std::int32_t at = math_.first_index(entries, product, kBlock);
  entries[at] = 0.0F;
  maxima[block] = math_.maximum(entries, kBlock);
  return static_cast<std::int32_t>(block * kBlock) + at;
}

void Scorer::score(const float* prefix_row, const float* image_row, ScoreRows& rows) const {
  bool valid = true;
  prefix_row += look_width_;
  image_row += look_width_;
  rows.total = rows.end_total = 0.0;
  rows.prefix = prefix_row;
  rows.image = image_row;
  if (folded_) {
    const double* u = weights_of(prefix_row, score_width_);
    const double* v = weights_of(image_row, score_width_);
    valid = math_.join(prefix_row, image_row, u, v, rows.scores.data(), rows.maxima.data(), &rows.total, score_width_);
    rows.shift = u[score_width_ + kHighest] + v[score_width_ + kHighest];
    rows.end_total = u[score_width_ + kEndWeight] * v[score_width_ + kEndWeight];
    rows.wide = u[score_width_ + kWide] + v[score_width_ + kWide] > 0.0;
  } else {
    float* joint = rows.joint.data();
    const std::size_t joint_width = rows.joint.size();
    math_.add(prefix_row, image_row, joint, joint_width);
    if (activation_ == Activation::relu) math_.relu(joint, rows.joint.size());
    if (activation_ == Activation::tanh) math_.tanh(joint, rows.joint.size());
    math_.product(columns_.data(), joint, bias_.data(), rows.scores.data(), depth_, score_width_);
    valid = math_.block_maxima(rows.scores.data(), rows.maxima.data(), score_width_);
    rows.wide = prefix_row[joint_width] + image_row[joint_width] > 0.0F;
  }
  if (!valid) throw std::invalid_argument("scores overflow float32: a prefix term or an image term is too large");
}

void Scorer::forbid(ScoreRows& rows, std::int32_t label) const {
  remove(rows, static_cast<std::size_t>(label));
  // END's weight was never in the sum; taking a label's from it would leave that label's rounding error behind.
  rows.end_total = 0.0;
  if (label != end()) rows.total = 0.0;
}

void Scorer::remove(ScoreRows& rows, std::size_t label) const {
  const std::size_t first = label / kBlock * kBlock;
  rows.scores[label] = kForbidden;
  rows.maxima[label / kBlock] = math_.maximum(rows.scores.data() + first, std::min(kBlock, score_width_ - first));
}

void Scorer::score_exactly(ScoreRows& rows) const {
  const auto entries = static_cast<std::size_t>(labels_) + 1;
  std::vector<double>& exact = rows.exact;
  if (folded_) {
    const auto of = [&](const float* row, std::size_t k) {
      const double* weights = weights_of(row, score_width_);
      return weights[score_width_ + kWide] > 0.0 ? weights[k] : static_cast<double>(row[k]);
    };
    for (std::size_t k = 0; k < entries; ++k) exact[k] = of(rows.prefix, k) + of(rows.image, k);
  } else {
    std::copy_n(bias_.data(), entries, exact.begin());
    for (std::size_t d = 0; d < depth_; ++d) {
      double joint = static_cast<double>(rows.prefix[d]) + static_cast<double>(rows.image[d]);
      if (activation_ == Activation::relu) joint = std::max(joint, 0.0);
      if (activation_ == Activation::tanh) joint = std::tanh(joint);
      const float* column = columns_.data() + d * score_width_;
      for (std::size_t k = 0; k < entries; ++k) exact[k] += static_cast<double>(column[k]) * joint;
    }
  }
  for (std::size_t k = 0; k < entries; ++k) {
    if (rows.scores[k] == kForbidden) exact[k] = static_cast<double>(kForbidden);
  }
}

Normalizer Scorer::normalize_exactly(ScoreRows& rows) const {
  score_exactly(rows);
  const double highest = *std::ranges::max_element(rows.exact);
  double total = 0.0;
  for (std::size_t k = 0; k < rows.exact.size(); ++k) {
    if (rows.scores[k] == kForbidden) continue;
    rows.exact[k] -= highest;
    total += std::exp(rows.exact[k]);
    rows.scores[k] = static_cast<float>(std::max(rows.exact[k], kLowest));
  }
  return {.highest = 0.0F, .log_sum = std::log(total), .by_weights = false, .log_total = 0.0};
}

Normalizer Scorer::normalize(ScoreRows& rows) const {
  const float highest = *std::ranges::max_element(rows.maxima);
  if (highest == kForbidden) {
    rows.wide = false;  // there is nothing to take
    return {.highest = highest, .log_sum = 0.0, .by_weights = false, .log_total = 0.0};
  }
  if (rows.wide) return normalize_exactly(rows);
  const double total = rows.total + rows.end_total;
  if (rows.total > 0.0 && total > kSmallestTotal) {
    const double log_total = std::log(total) + rows.shift;
    return {
        .highest = highest, .log_sum = std::max(0.0, log_total - highest), .by_weights = true, .log_total = log_total};
  }
  return {.highest = highest,
          .log_sum = std::log(math_.sum_exp(rows.scores.data(), highest, score_width_)),
          .by_weights = false,
          .log_total = 0.0};
}

double Scorer::log_probability(const ScoreRows& rows, const Normalizer& normalizer, std::int32_t label, double score) {
  if (rows.wide) return std::min(0.0, score - normalizer.log_sum);
  // The sum was taken over unrounded scores, so a rounded one could be more probable than certain.
  const double result =
      normalizer.by_weights
          ? static_cast<double>(rows.prefix[label]) + static_cast<double>(rows.image[label]) - normalizer.log_total
          : static_cast<double>(static_cast<float>(score) - normalizer.highest) - normalizer.log_sum;
  return std::min(0.0, result);
}

double Scorer::log_probability(const ScoreRows& rows, const Normalizer& normalizer, std::int32_t label) {
  const auto at = static_cast<std::size_t>(label);
  return log_probability(rows, normalizer, label, rows.wide ? rows.exact[at] : static_cast<double>(rows.scores[at]));
}

std::int32_t Scorer::take_best(ScoreRows& rows, double& score) const {
  if (rows.wide) {
    const auto best = std::ranges::max_element(rows.exact);  // the first of equals
    score = *best;
    if (score == static_cast<double>(kForbidden)) return -1;
    const auto label = static_cast<std::size_t>(best - rows.exact.begin());
    rows.scores[label] = kForbidden;
    *best = static_cast<double>(kForbidden);
    return static_cast<std::int32_t>(label);
  }
  std::size_t block = 0;
  for (std::size_t b = 1; b < rows.maxima.size(); ++b) {
    if (rows.maxima[b] > rows.maxima[block]) block = b;
  }
  const float largest = rows.maxima[block];
  score = largest;
  if (largest == kForbidden) return -1;
  const std::size_t first = block * kBlock;
  const std::size_t width = std::min(kBlock, score_width_ - first);
  const float* entries = rows.scores.data() + first;
  // Ties go to the lower label index: the first block that holds the maximum, and in it the first entry.
  const std::int32_t at = math_.first_index(entries, largest, width);
  const std::size_t label = first + static_cast<std::size_t>(at);
  remove(rows, label);
  return static_cast<std::int32_t>(label);
}

}  // namespace mlb
