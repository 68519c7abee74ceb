// The scores of labels and END after a prefix, for an image: output @ h(prefix term + image term) + bias.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aligned.h"
#include "options.h"
#include "vector_math.h"

namespace mlb {

// A row whose products with the output could be larger than this is wide: its scores are taken in double. Below it,
// rounding to float moves a score by at most a few times 1e-4; at 1e5 it would be 1e-2.
inline constexpr double kLargestInFloat = 1024.0;

// What a row of scores amounts to: log P(label) = (score - highest) - log_sum.
struct Normalizer {
  float highest;  // -infinity where every entry is forbidden
  double log_sum;
  bool by_weights;   // log_total is set, and scores are prefix + image without rounding
  double log_total;  // log of the sum of exp(score)
};

// Reusable rows of one thread. The sum of exp(score - shift) is `total` over the labels, unknown if that is 0,
// and `end_total` for END.
struct ScoreRows {
  Floats scores, maxima, joint;
  double total = 0.0, end_total = 0.0, shift = 0.0;
  const float *prefix = nullptr, *image = nullptr;  // the rows that were joined
  // Of wide rows: the scores in double, of which `scores` are what they have less than the highest of those allowed.
  bool wide = false;
  std::vector<double> exact;
};

// A first look at a row, in float: products of labels' weights, their block maxima, and what they are out by at most.
struct Screening {
  Floats products, maxima;
  double scale = 0.0;        // P(label) = product * scale, and so is END's
  double error = 0.0;        // of that, relative
  double score_error = 0.0;  // of the rounding of scores that orders a row's labels, relative to their probability
};

// Of fewer entries rows stay in the cache, and a first look saves nothing.
inline constexpr std::size_t kFewestScreened = 512;

// Where h is the identity the product is taken once per prefix and once per image, and a step is an addition.
// Since exp(p + q) = exp(p) exp(q), so are the exponentials, and the normalizer is a scalar product.
// Prefix and image rows are what that leaves to store: labels + 1 scores, then their weights exp(score - highest)
// as doubles, then highest, END's weight, which is kept out of the others, and whether the row is wide; in a wide row
// the doubles are its scores themselves. Without identity: D numbers each, and whether the row is wide.
// Where entries are many, a row begins with what a first look reads: the three doubles of its end once more, then the
// weights in float.
class Scorer {
 public:
  // output (labels + 1, depth) row-major and finite; bias (labels + 1), finite, or -infinity to forbid an entry.
  // Throws std::invalid_argument for other shapes or biases.
  Scorer(std::span<const float> output, std::span<const float> bias, Activation activation);

  std::int32_t labels() const { return labels_; }
  std::int32_t end() const { return labels_; }
  std::int32_t start() const { return labels_ + 1; }
  std::size_t depth() const { return depth_; }
  std::size_t score_width() const { return score_width_; }
  std::size_t row_width() const { return row_width_; }
  bool screens() const { return look_width_ > 0; }
  // The floats at the beginning of a row that screen() reads, in whole cache lines.
  std::size_t look_width() const { return look_width_; }

  ScoreRows make_rows() const;
  // term (depth) -> row (row_width).
  void prefix_row(const float* term, float* row) const;
  void image_row(const float* term, float* row) const;

  Screening make_screening() const;
  // Looks at a row of a scorer that screens. Returns false where that is not enough: wide rows, and such whose labels
  // are hardly probable to prefix and image at once.
  bool screen(const float* prefix_row, const float* image_row, bool end_allowed, Screening& screening) const;
  // Removes the largest product and returns its index; -1: all are 0.
  std::int32_t take_likeliest(Screening& screening, float& product) const;

  // Writes all of rows, unmasked. Throws std::invalid_argument where a score is NaN or +infinity.
  void score(const float* prefix_row, const float* image_row, ScoreRows& rows) const;
  // Removes an entry from what rows amount to.
  void forbid(ScoreRows& rows, std::int32_t label) const;
  // Comes after the last forbid and before the first take_best.
  Normalizer normalize(ScoreRows& rows) const;
  // Returns log P(label), never above 0: a path is never more probable than its beginning.
  static double log_probability(const ScoreRows& rows, const Normalizer& normalizer, std::int32_t label, double score);
  // The same of a label that was not taken.
  static double log_probability(const ScoreRows& rows, const Normalizer& normalizer, std::int32_t label);
  // Removes the best entry from rows and returns its index, the lower one of equals; -1: all are -infinity.
  std::int32_t take_best(ScoreRows& rows, double& score) const;

  const VectorMath& math() const { return math_; }

 private:
  bool is_wide(const float* term, double bias) const;
  void folded_row(const float* term, const Floats& initial, double bias, float* whole_row) const;
  void write_weights(float* row) const;
  void write_look(float* row) const;
  void write_exact(const float* term, const Floats& initial, double* exact) const;
  void score_exactly(ScoreRows& rows) const;
  Normalizer normalize_exactly(ScoreRows& rows) const;
  void remove(ScoreRows& rows, std::size_t label) const;

  const VectorMath& math_;  // NOLINT(*-avoid-const-or-ref-data-members): a table; no scorer is ever assigned to
  std::int32_t labels_;
  std::size_t depth_, score_width_;
  bool folded_;
  std::size_t look_width_, row_width_;
  Activation activation_;
  Floats columns_;                                  // output transposed: (depth, score_width), padded with zeros
  Floats bias_;                                     // (score_width), padded with -infinity
  Floats zeros_;                                    // (score_width)
  double largest_norm_ = 0.0, largest_bias_ = 0.0;  // of a row of output; of finite biases, without sign
};

}  // namespace mlb
