// What is written for an image once its best path is known.
#include <algorithm>
#include <cmath>
#include <limits>

#include "beam.h"

namespace mlb {

namespace {

constexpr double kFirstStepWeight = 1e-6;  // of P(label | START) in beam_marginal
constexpr float kForbidden = -std::numeric_limits<float>::infinity();

}  // namespace

void BeamSearch::finish(Image& image, std::size_t index, const Path& best, bool complete, Scratch& scratch) {
  std::vector<std::int32_t>& labels = scratch.left;
  double log_probability = best.log_probability;
  if ((class_scores_ && !includes_) || (image.screened && log_probabilities_)) {
    log_probability = score_steps(image, index, best, scratch);
    if (!image.screened) log_probability = best.log_probability;
  }
  if (class_scores_ && !includes_) write_class_scores(image, index, scratch);
  labels_of(best, labels);
  if (ended(best)) labels.pop_back();
  std::ranges::copy(labels, answers_.sequences.begin() +
                                static_cast<std::ptrdiff_t>(index * static_cast<std::size_t>(options_.max_length)));
  if (log_probabilities_) answers_.log_probabilities[index] = log_probability;
  answers_.complete[index] = static_cast<std::uint8_t>(complete);
  answers_.limited[index] = static_cast<std::uint8_t>(image.limited);
  image.stage = Stage::done;
}

// Scores the steps of `best` again, from its last to its first: keeps the highest log-probability of each label in
// best_scores, where class scores want it, and returns that of a screened path, which never was computed.
double BeamSearch::score_steps(const Image& image, std::size_t index, const Path& best, Scratch& scratch) const {
  const bool keeps_every_step = class_scores_ && options_.class_score == ClassScore::max_over_steps;
  const bool every_step = keeps_every_step || (image.screened && log_probabilities_);
  Floats& best_row = scratch.best_scores;
  std::ranges::fill(best_row, kForbidden);
  std::vector<double>& steps = scratch.steps;
  steps.clear();
  std::int32_t node = best.length > 0 ? best.parent : image.root;
  std::int32_t label = best.label;
  for (std::int32_t length = std::max(best.length - 1, 0); length >= 0; --length) {
    if (!every_step) {
      node = image.root;
      length = 0;
    }
    const Normalizer normalizer = score_node(index, node, length, scratch);
    if (image.screened && best.length > 0) {
      steps.push_back(Scorer::log_probability(scratch.rows, normalizer, label));
    }
    if (class_scores_ && (length == 0 || keeps_every_step) && normalizer.highest != kForbidden) {
      scorer_.math().keep_larger(best_row.data(), scratch.rows.scores.data(), normalizer.highest,
                                 static_cast<float>(normalizer.log_sum), scorer_.score_width());
    }
    label = tree_.label(node);
    node = tree_.parent(node);
  }
  double sum = 0.0;
  for (std::size_t step = steps.size(); step-- > 0;) sum += steps[step];
  return sum;
}

void BeamSearch::write_class_scores(const Image& image, std::size_t index, Scratch& scratch) {
  Floats& best_row = scratch.best_scores;
  scorer_.math().exp(best_row.data(), scorer_.score_width());
  const auto labels = static_cast<std::size_t>(scorer_.labels());
  float* out = answers_.class_scores.data() + index * labels;
  if (options_.class_score != ClassScore::beam_marginal) {
    std::copy_n(best_row.data(), labels, out);
    return;
  }
  std::vector<double> marginal(labels + 1, 0.0);
  std::vector<std::int32_t>& held = scratch.right;
  for (const Path& candidate : image.candidates) {
    labels_of(candidate, held);
    std::ranges::sort(held);
    held.erase(std::ranges::unique(held).begin(), held.end());
    for (const std::int32_t label : held)
      marginal[static_cast<std::size_t>(label)] += std::exp(candidate.log_probability);
  }
  for (std::size_t label = 0; label < labels; ++label) {
    const double first = best_row[label];
    out[label] = static_cast<float>((1.0 - kFirstStepWeight) * marginal[label] + kFirstStepWeight * first);
  }
}

void BeamSearch::add_inclusion(std::size_t index, const Path& path, const Normalizer& normalizer, Scratch& scratch) {
  if (normalizer.highest == kForbidden) return;
  Floats& row = scratch.best_scores;
  std::ranges::fill(row, kForbidden);
  scorer_.math().keep_larger(row.data(), scratch.rows.scores.data(), normalizer.highest,
                             static_cast<float>(normalizer.log_sum), scorer_.score_width());
  scorer_.math().exp(row.data(), scorer_.score_width());
  const auto labels = static_cast<std::size_t>(scorer_.labels());
  Image& image = images_[index];
  const double path_probability = std::exp(path.log_probability);
  float going = 0.0F;
  for (std::size_t label = 0; label < labels; ++label) going += row[label];
  image.extended += path_probability * going;
  labels_of(path, scratch.left);
  for (const std::int32_t held : scratch.left) row[static_cast<std::size_t>(held)] = 0.0F;
  const auto probability = static_cast<float>(image.stands_for * path_probability);
  float* out = answers_.class_scores.data() + index * labels;
  for (std::size_t label = 0; label < labels; ++label) {
    out[label] = std::min(out[label] + probability * row[label], 1.0F);
  }
}

// What the beam has just dropped is taken to go on as what it kept does.
void BeamSearch::spread_inclusion(Image& image) {
  double kept = 0.0;
  for (const Live& live : image.live) kept += std::exp(live.path.log_probability);
  if (kept > 0.0) image.stands_for *= std::max(image.extended / kept, 1.0);
}

}  // namespace mlb
