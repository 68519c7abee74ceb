#include "beam.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace mlb {

namespace {

constexpr double kNegligible = -16.0;           // log-probability of a path that inclusion has no use for
constexpr double kGrid = 1 << 30;               // log-probabilities that round to the same multiple of 1 / kGrid tie
constexpr std::size_t kTogether = 4;            // images of a thread that take turns where rows are long
constexpr std::size_t kScoresPerThread = 5000;  // starting a thread costs as much as some images with so many labels
constexpr std::size_t kMostImages = std::size_t{1} << 30;  // roots are numbered by 32 bits

Path extended(const Path& path, std::int32_t node, std::int32_t label, double log_probability) {
  const double sum = path.log_probability + log_probability;
  return {.log_probability = sum,
          .cost = -std::floor(sum * kGrid + 0.5),
          .parent = node,
          .label = label,
          .length = path.length + 1};
}

}  // namespace

BeamSearch::BeamSearch(ModelTree& model, const SearchOptions& options, bool sees_image, int threads)
    : model_(model),
      scorer_(model.scorer),
      tree_(model.prefixes),
      options_(checked(options)),
      state_size_(model.state_size),
      sees_image_(sees_image),
      most_threads_(threads > 0 ? static_cast<std::size_t>(threads)
                                : std::max<std::size_t>(1, std::thread::hardware_concurrency())) {}

void BeamSearch::begin(std::span<const float> image_terms, std::span<const float> start_states, bool class_scores,
                       bool log_probabilities) {
  const std::size_t count = image_terms.size() / scorer_.depth();
  if (count > kMostImages) throw std::invalid_argument("a set has at most " + std::to_string(kMostImages) + " images");
  if (image_terms.size() != count * scorer_.depth()) {
    throw std::invalid_argument("image_terms must have a row of the output's depth for each image");
  }
  if (start_states.size() != (sees_image_ ? count : 1) * state_size_) {
    throw std::invalid_argument("start_states must have one row, or one for each image if the model sees it");
  }
  // Rows of labels and of steps each take part in a product below.
  const std::size_t widest =
      std::max({scorer_.row_width(), scorer_.score_width(), static_cast<std::size_t>(options_.max_length)});
  if (widest > kMostBytes / sizeof(double) / std::max<std::size_t>(count, 1)) {
    throw std::invalid_argument("answers of " + std::to_string(count) + " images with " + std::to_string(widest) +
                                " numbers each fit in no memory: search fewer images at once, or set max_length lower");
  }
  abandon();
  begun_ = false;
  image_terms_.assign(image_terms.begin(), image_terms.end());
  start_states_.assign(start_states.begin(), start_states.end());
  // The copies are looked at, which nobody else can change.
  if (!scorer_.math().all_finite(image_terms_.data(), image_terms_.size())) {
    throw std::invalid_argument("image_terms holds NaN or infinity");
  }
  if (!scorer_.math().all_finite(start_states_.data(), start_states_.size())) {
    throw std::invalid_argument("start_states holds NaN or infinity");
  }
  class_scores_ = class_scores;
  log_probabilities_ = log_probabilities;
  // What a path no better than an ended one becomes is no better either, nor is what would take its place in the
  // beam: without it the answer is the same. Only the marginals count such paths.
  includes_ = class_scores && options_.class_score == ClassScore::inclusion;
  prunes_ =
      options_.stop == Stop::best && !includes_ && !(class_scores && options_.class_score == ClassScore::beam_marginal);
  screens_ = prunes_ && options_.search == Search::beam && options_.end_consumes_slot && !options_.mask_repeats &&
             scorer_.screens();
  started_ = false;
  prefixes_computed_ = 0;
  for (Scratch& scratch : scratches_) scratch.rows_scored = scratch.screened = scratch.given_up = 0;
  threads_ = std::clamp<std::size_t>(count * scorer_.score_width() / kScoresPerThread, 1, most_threads_);
  while (scratches_.size() < threads_) {
    Scratch& scratch = scratches_.emplace_back();
    scratch.rows = scorer_.make_rows();
    scratch.screening = scorer_.make_screening();
    scratch.best_scores.resize(scorer_.score_width());
  }
  image_rows_.resize(count * scorer_.row_width());
  images_.resize(count);
  for (Image& image : images_) image.reset();
  answers_.sequences.assign(count * static_cast<std::size_t>(options_.max_length), -1);
  answers_.log_probabilities.resize(log_probabilities ? count : 0);
  answers_.complete.resize(count);
  answers_.limited.resize(count);
  answers_.beam_missed.assign(count, 0);
  const std::size_t scored = class_scores ? count * static_cast<std::size_t>(scorer_.labels()) : 0;
  if (includes_) {
    answers_.class_scores.assign(scored, 0.0F);  // is added to
  } else {
    answers_.class_scores.resize(scored);
  }
  begun_ = true;
}

void BeamSearch::abandon() {
  if (!pending_.empty()) tree_.truncate(pending_.front().node);
  pending_.clear();
  for (Scratch& scratch : scratches_) scratch.lacking.clear();
}

std::int64_t BeamSearch::rows_scored() const {
  std::int64_t total = 0;
  for (const Scratch& scratch : scratches_) total += scratch.rows_scored;
  return total;
}

bool BeamSearch::advance() {
  if (!begun_) throw std::logic_error("begin() must come before advance()");
  if (!pending_.empty()) throw std::logic_error("the pending prefixes were not provided");
  if (threads_ <= 1) {
    run_images(0, images_.size(), scratches_[0]);
  } else {
    run_threads();
  }
  started_ = true;
  return collect_lacking();
}

void BeamSearch::run_threads() {
  const std::size_t count = images_.size();
  std::vector<std::exception_ptr> failures(threads_);
  const auto work = [&](std::size_t thread) {
    try {
      run_images(count * thread / threads_, count * (thread + 1) / threads_, scratches_[thread]);
    } catch (...) {
      failures[thread] = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  others.reserve(threads_ - 1);
  std::size_t begun = 1;
  try {
    for (; begun < threads_; ++begun) others.emplace_back(work, begun);
  } catch (const std::system_error&) {
    // The system gives no more threads: what they would have done is done here.
  }
  work(0);
  for (std::size_t thread = begun; thread < threads_; ++thread) work(thread);
  others.clear();  // waits for them
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

bool BeamSearch::collect_lacking() {
  std::size_t most = 0;
  for (const Scratch& scratch : scratches_) most += scratch.lacking.size();
  pending_.reserve(most);  // a prefix that is in the tree and not among those asked for would never be provided
  for (Scratch& scratch : scratches_) {
    for (Request request : scratch.lacking) {
      if (tree_.find(request.parent, request.label) != PrefixTree::kAbsent) continue;
      request.node = tree_.insert(request.parent, request.label);
      pending_.push_back(request);
    }
    scratch.lacking.clear();
  }
  return !pending_.empty();
}

void BeamSearch::write_pending(std::span<std::int64_t> labels, std::span<float> states) const {
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Request& request = pending_[i];
    labels[i] = request.label;
    const float* state = request.parent >= 0 ? tree_.state(request.parent)
                                             : start_states_.data() + (sees_image_ ? request.image * state_size_ : 0);
    std::copy_n(state, state_size_, states.data() + i * state_size_);
  }
}

void BeamSearch::provide(std::span<const float> terms, std::span<const float> states) {
  const std::size_t depth = scorer_.depth();
  const std::size_t count = pending_.size();
  const bool fits = terms.size() == count * depth && states.size() == count * state_size_;
  if (!fits || !scorer_.math().all_finite(terms.data(), terms.size()) ||
      !scorer_.math().all_finite(states.data(), states.size())) {
    throw std::invalid_argument(fits ? "the step network gave NaN or infinity"
                                     : "the step network gave another number of terms or states than asked for");
  }
  for (std::size_t i = 0; i < count; ++i) {
    model_.set_rows(pending_[i].node, terms.subspan(i * depth, depth), states.subspan(i * state_size_, state_size_));
  }
  prefixes_computed_ += static_cast<std::int64_t>(count);
  pending_.clear();
}

std::int32_t BeamSearch::root_parent(std::size_t image) const {
  return sees_image_ ? PrefixTree::kSharedRoot - static_cast<std::int32_t>(image) : PrefixTree::kSharedRoot;
}

// Images take turns, so that the rows that one will read come nearer while another is worked on.
void BeamSearch::run_images(std::size_t first, std::size_t last, Scratch& scratch) {
  const std::size_t together = screens_ ? kTogether : 1;
  for (std::size_t start = first; start < last; start += together) {
    const std::size_t stop = std::min(last, start + together);
    for (std::size_t index = start; index < stop; ++index) start_image(index, scratch);
    for (bool going = true; going;) {
      going = false;
      for (std::size_t index = start; index < stop; ++index) going = run_round(index, scratch) || going;
    }
  }
}

void BeamSearch::start_image(std::size_t index, Scratch& scratch) {
  Image& image = images_[index];
  if (!started_) {
    scorer_.image_row(image_terms_.data() + index * scorer_.depth(), &image_rows_[index * scorer_.row_width()]);
  }
  if (image.root != PrefixTree::kAbsent) return;
  image.root = tree_.find(root_parent(index), scorer_.start());
  if (image.root == PrefixTree::kAbsent) {
    scratch.lacking.push_back({.parent = root_parent(index), .label = scorer_.start(), .node = 0, .image = index});
    return;
  }
  image.live.push_back({.path = Path{}, .node = image.root});
  if (screens_ && screening_pays(scratch)) {
    image.screened = true;
    image.live.front().path.cost = -1.0;
    ++scratch.screened;
  }
}

// Returns whether the image is being screened and goes on without waiting for prefixes.
bool BeamSearch::run_round(std::size_t index, Scratch& scratch) {
  Image& image = images_[index];
  if (image.stage == Stage::done || image.root == PrefixTree::kAbsent) return false;
  if (image.screened && image.stage == Stage::beam) {
    if (!resolve(image, index, scratch)) return false;
    if (screened_round(image, index, scratch)) return true;
  }
  while (image.stage == Stage::beam && resolve(image, index, scratch) && beam_round(image, index, scratch)) {
  }
  while (image.stage == Stage::exact && exact_step(image, index, scratch)) {
  }
  if (image.stage == Stage::scores) finish(image, index, image.best, ended(image.best) && !image.limited, scratch);
  return false;
}

// Finds the live paths' nodes; returns whether all are there.
bool BeamSearch::resolve(Image& image, std::size_t index, Scratch& scratch) const {
  bool lacking = false;
  for (Live& live : image.live) {
    if (live.node == PrefixTree::kAbsent) live.node = node_of(live.path, index, image, scratch);
    lacking = lacking || live.node == PrefixTree::kAbsent;
  }
  return !lacking;
}

std::int32_t BeamSearch::node_of(const Path& path, std::size_t index, const Image& image, Scratch& scratch) const {
  if (path.length == 0) return image.root;
  const std::int32_t node = tree_.find(path.parent, path.label);
  if (node == PrefixTree::kAbsent) {
    scratch.lacking.push_back({.parent = path.parent, .label = path.label, .node = 0, .image = index});
  }
  return node;
}

// Returns whether the beam goes on.
bool BeamSearch::beam_round(Image& image, std::size_t index, Scratch& scratch) {
  const auto by_rank = [&](const Path& a, const Path& b) { return better(a, b, scratch); };
  const auto width = static_cast<std::size_t>(options_.beam_width);
  std::vector<Path>& extensions = scratch.extensions;
  extensions.clear();
  image.extended = 0.0;
  for (const Live& live : image.live) extend(index, live.path, live.node, options_.beam_width, scratch);
  std::ranges::sort(extensions, by_rank);
  if (options_.end_consumes_slot && extensions.size() > width) extensions.resize(width);
  std::size_t going = 0;
  for (const Path& extension : extensions) {
    if (ended(extension)) {
      image.candidates.push_back(extension);
      image.best_cost = std::min(image.best_cost, extension.cost);
    } else if (going < width && !(extension.cost >= image.best_cost && dispensable(extension))) {
      if (going == 0) image.live.clear();
      image.live.push_back({.path = extension, .node = PrefixTree::kAbsent});
      ++going;
    }
  }
  if (includes_ && going > 0) spread_inclusion(image);
  ++image.rounds;
  const bool stops = going == 0 || image.rounds == options_.max_length ||
                     (!includes_ && !image.candidates.empty() && no_live_path_matters(image));
  if (stops) finish_beam(image, scratch);
  return !stops;
}

// Whether a path that is no better than an ended one can be left out of the beam.
bool BeamSearch::dispensable(const Path& path) const {
  return prunes_ || (includes_ && path.log_probability < kNegligible);
}

void BeamSearch::finish_beam(Image& image, Scratch& scratch) {
  const bool any = !image.candidates.empty();
  if (!any) {
    for (const Live& live : image.live) image.candidates.push_back(live.path);
  }
  image.best =
      *std::ranges::min_element(image.candidates, [&](const Path& a, const Path& b) { return better(a, b, scratch); });
  image.stage = Stage::scores;
  if (options_.search == Search::exact) {
    image.stage = Stage::exact;
    image.has_incumbent = any;
    image.incumbent = image.best;
    image.queue.push_back(Path{});
  }
}

bool BeamSearch::no_live_path_matters(const Image& image) const {
  double live = std::numeric_limits<double>::infinity();
  for (const Live& path : image.live) live = std::min(live, path.path.cost);
  double best = std::numeric_limits<double>::infinity();
  double worst = -std::numeric_limits<double>::infinity();
  for (const Path& candidate : image.candidates) {
    best = std::min(best, candidate.cost);
    worst = std::max(worst, candidate.cost);
  }
  return options_.stop == Stop::all ? live > worst : live >= best;
}

Normalizer BeamSearch::score_node(std::size_t index, std::int32_t node, std::int32_t length, Scratch& scratch) const {
  ScoreRows& rows = scratch.rows;
  ++scratch.rows_scored;
  scorer_.score(tree_.term(node), &image_rows_[index * scorer_.row_width()], rows);
  if (length < options_.min_length) scorer_.forbid(rows, scorer_.end());
  if (options_.mask_repeats) {
    for (std::int32_t at = node; tree_.label(at) != scorer_.start(); at = tree_.parent(at)) {
      scorer_.forbid(rows, tree_.label(at));
    }
  }
  return scorer_.normalize(rows);
}

void BeamSearch::extend(std::size_t index, const Path& path, std::int32_t node, std::int32_t count, Scratch& scratch) {
  const Normalizer normalizer = score_node(index, node, path.length, scratch);
  if (includes_ && images_[index].stage == Stage::beam) add_inclusion(index, path, normalizer, scratch);
  for (std::int32_t taken = 0; taken < count; ++taken) {
    double score = 0.0;
    const std::int32_t label = scorer_.take_best(scratch.rows, score);
    if (label < 0) return;
    const double log_probability = Scorer::log_probability(scratch.rows, normalizer, label, score);
    scratch.extensions.push_back(extended(path, node, label, log_probability));
  }
}

bool BeamSearch::better(const Path& a, const Path& b, Scratch& scratch) const {
  if (a.cost != b.cost) return a.cost < b.cost;
  if (a.length != b.length) return a.length < b.length;
  return compare_labels(a, b, scratch) < 0;
}

// A prefix stands for the shortest path it can become, and comes before its equals.
bool BeamSearch::comes_first(const Path& a, const Path& b, Scratch& scratch) const {
  if (a.cost != b.cost) return a.cost < b.cost;
  const bool a_ended = ended(a);
  const bool b_ended = ended(b);
  const std::int32_t a_length = a.length + (a_ended ? 0 : 1);
  const std::int32_t b_length = b.length + (b_ended ? 0 : 1);
  if (a_length != b_length) return a_length < b_length;
  if (a_ended != b_ended) return b_ended;
  return compare_labels(a, b, scratch) < 0;
}

std::strong_ordering BeamSearch::compare_labels(const Path& a, const Path& b, Scratch& scratch) const {
  if (a.parent == b.parent) return a.label <=> b.label;
  labels_of(a, scratch.left);
  labels_of(b, scratch.right);
  return scratch.left <=> scratch.right;
}

void BeamSearch::labels_of(const Path& path, std::vector<std::int32_t>& labels) const {
  labels.clear();
  if (path.length == 0) return;
  labels.push_back(path.label);
  for (std::int32_t node = path.parent; tree_.label(node) != scorer_.start(); node = tree_.parent(node)) {
    labels.push_back(tree_.label(node));
  }
  std::ranges::reverse(labels);
}

}  // namespace mlb
