#include "scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace mlb {

namespace {
constexpr float kForbidden = -std::numeric_limits<float>::infinity();
}

Scorer::Scorer(std::span<const float> output, std::span<const float> bias, Activation activation)
    : math_(vector_math()),
      labels_(static_cast<std::int32_t>(bias.size()) - 1),
      depth_(bias.empty() ? 0 : output.size() / bias.size()),
      score_width_(padded(bias.size())),
      folded_(activation == Activation::identity),
      activation_(activation),
      columns_(depth_ * score_width_, 0.0F),
      bias_(score_width_, kForbidden),
      zeros_(score_width_, 0.0F) {
  if (labels_ < 1 || depth_ < 1 || output.size() != depth_ * bias.size()) {
    throw std::invalid_argument("output must be (labels + 1, D) and bias (labels + 1), with a label at least");
  }
  std::copy(bias.begin(), bias.end(), bias_.begin());
  for (std::size_t label = 0; label < bias.size(); ++label) {
    for (std::size_t d = 0; d < depth_; ++d) columns_[d * score_width_ + label] = output[label * depth_ + d];
  }
}

ScoreRows Scorer::make_rows() const {
  return {Floats(score_width_), Floats((score_width_ + kBlock - 1) / kBlock), Floats(padded(depth_))};
}

void Scorer::prefix_row(const float* term, float* row) const {
  if (folded_) {
    math_.product(columns_.data(), term, zeros_.data(), row, depth_, score_width_);
  } else {
    std::fill(std::copy_n(term, depth_, row), row + row_width(), 0.0F);
  }
}

void Scorer::image_row(const float* term, float* row) const {
  if (folded_) {
    math_.product(columns_.data(), term, bias_.data(), row, depth_, score_width_);
  } else {
    prefix_row(term, row);
  }
}

void Scorer::score(const float* prefix_row, const float* image_row, ScoreRows& rows) const {
  if (folded_) {
    math_.add(prefix_row, image_row, rows.scores.data(), score_width_);
    return;
  }
  float* joint = rows.joint.data();
  math_.add(prefix_row, image_row, joint, rows.joint.size());
  if (activation_ == Activation::relu) math_.relu(joint, rows.joint.size());
  if (activation_ == Activation::tanh) math_.tanh(joint, rows.joint.size());
  math_.product(columns_.data(), joint, bias_.data(), rows.scores.data(), depth_, score_width_);
}

Normalizer Scorer::normalize(ScoreRows& rows) const {
  if (!math_.block_maxima(rows.scores.data(), rows.maxima.data(), score_width_)) {
    throw std::invalid_argument("scores overflow float32: a prefix term or an image term is too large");
  }
  const float highest = *std::max_element(rows.maxima.begin(), rows.maxima.end());
  if (highest == kForbidden) return {highest, 0.0};
  return {highest, std::log(math_.sum_exp(rows.scores.data(), highest, score_width_))};
}

std::int32_t Scorer::take_best(ScoreRows& rows, float& score) const {
  std::size_t block = 0;
  for (std::size_t b = 1; b < rows.maxima.size(); ++b) {
    if (rows.maxima[b] > rows.maxima[block]) block = b;
  }
  score = rows.maxima[block];
  if (score == kForbidden) return -1;
  const std::size_t first = block * kBlock;
  const std::size_t width = std::min(kBlock, score_width_ - first);
  float* entries = rows.scores.data() + first;
  // Ties go to the lower label index: the first block that holds the maximum, and in it the first entry.
  const std::int32_t at = math_.first_index(entries, score, width);
  entries[at] = kForbidden;
  rows.maxima[block] = math_.maximum(entries, width);
  return static_cast<std::int32_t>(first) + at;
}

}  // namespace mlb
